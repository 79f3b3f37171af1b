// Runs a program as its parent without leaving a trace in it: what Swift cannot say, because it has no fork(2).

#ifndef GRANITE_PROGRAM_H
#define GRANITE_PROGRAM_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/// Blocks every signal that can be blocked and sets SIGCHLD to its default, so that children can be waited for.
/// Keeps what was before for granite_program_start. Call once, before any thread is started.
void granite_signals_hold(void);

/// fork(2) and execve(2): the program gets the signal mask and the disposition of SIGCHLD that granite_signals_hold
/// found; all else of this process that a program inherits it inherits. A file without a known format is given to
/// /bin/sh, as execvp(3) does. Call after granite_signals_hold, with one thread. Returns 0, or the errno value of
/// fork or execve.
int granite_program_start(const char *_Nonnull path, char *_Nullable const *_Nonnull arguments,
                          char *_Nullable const *_Nonnull environment, pid_t *_Nonnull pid);

/// Whether the open file gives capabilities to who runs it (capabilities(7), "File capabilities"). 1 or 0.
int granite_has_capabilities(int fd);

/// signalfd(2) of every signal, not blocking, close-on-exec. -1 and errno on failure.
int granite_signal_descriptor(void);

/// A signal that came for this process.
struct granite_signal_arrival {
    int signal;
    int code;        ///< si_code: SI_KERNEL for what a terminal sends
    uint64_t value;  ///< with SI_QUEUE
};

/// Takes the next one. 1, or 0 if there is none.
int granite_signal_next(int descriptor, struct granite_signal_arrival *_Nonnull arrival);

/// A change of a child, as waitid(2) tells.
struct granite_child_change {
    pid_t pid;
    int wait_status;  ///< as waitpid(2) would give it
    struct rusage resources;
};

/// Takes the next change of any child: it ended or stopped. An ended one is reaped, but not `kept`, which stays a
/// zombie (its /proc entry and its pid stay its own) and is told of again and again. 1, or 0 if there is none now.
int granite_child_next(pid_t kept, struct granite_child_change *_Nonnull change);

/// Stops this process by `signal` as a terminal would; returns when it was continued, at once where the signal does
/// not stop it.
void granite_stop_self(int signal);

/// Ends this process by `signal`, without a core file of its own. Returns if that is not possible: pid 1 does not
/// die of signals.
void granite_die_of(int signal);

#endif
