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

/// Async-signal-safe: write(2) alone, errno kept (signal-safety(7)).
static void note(int signal) {
    int saved = errno;
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
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, NULL) == 0 ? 0 : errno;
}
