// Signals as notes on descriptors.

#define _GNU_SOURCE
#include "granite_signal_note.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

enum { signals = 65 };

/// Where each signal is noted; 0 = nowhere. An int is written and read whole.
static volatile int noted_on[signals];

/// Who sent each signal last; 0 = nobody yet, or nobody that is visible from this pid namespace.
static volatile int sent_by[signals];

/// Async-signal-safe: write(2) alone, errno kept (signal-safety(7)).
static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    // SI_USER, SI_QUEUE, SI_TKILL: si_pid is valid (sigaction(2)).
    if (info->si_code <= 0) sent_by[signal] = info->si_pid;
    uint64_t one = 1;
    int descriptor = noted_on[signal];
    if (descriptor > 0 && write(descriptor, &one, sizeof one) < 0) {
        // The counter is full: the note is there already.
    }
    errno = saved;
}

int granite_signal_note(int signal, int eventfd) {
    if (signal <= 0 || signal >= signals) return EINVAL;
    noted_on[signal] = eventfd;
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, NULL) == 0 ? 0 : errno;
}

int granite_signal_sender(int signal) { return signal > 0 && signal < signals ? sent_by[signal] : 0; }
