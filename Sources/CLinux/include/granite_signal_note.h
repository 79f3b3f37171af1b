// Signals as notes on descriptors: what Swift may not do in a handler, done by one write(2).

#ifndef GRANITE_SIGNAL_NOTE_H
#define GRANITE_SIGNAL_NOTE_H

/// From now on `signal` adds 1 to `eventfd` (eventfd(2)) and does nothing else (0: not even that); interrupted system calls are resumed (SA_RESTART).
/// The descriptor must stay open. Any thread. Returns 0 or an errno value: EINVAL for a signal over 64.
int granite_signal_note(int signal, int eventfd);

/// The pid of the process that sent a noted signal last; 0 if there was none, or if it is not visible from here. Any thread.
int granite_signal_sender(int signal);

#endif
