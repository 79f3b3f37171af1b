// The program's own actions for our signals: remembered, so that sigaction(2) tells it what it believes and its handler
// is still asked first (chain.c).

#define _GNU_SOURCE
#include "actions.h"

#include <errno.h>
#include <stdint.h>

#include "core.h"

enum { kept_signals = granite_fatal_signal_count + 2, versions = 8 };

/// A reader copies the current version while writers fill others: no lock, for sigaction is async-signal-safe.
static struct {
    uint32_t taken;    ///< counts the writers
    uint32_t current;  ///< the last whole version
    struct sigaction versions[versions];
} kept[kept_signals];

granite_action_function granite_next_action;

/// Async-signal-safe.
int granite_action_change(int signal, const struct sigaction *action, struct sigaction *old) {
    if (granite_next_action) return granite_next_action(signal, action, old);
    errno = ENOSYS;
    return -1;
}

/// Async-signal-safe. The index of a kept signal, or -1.
static int index_of(int signal) {
    for (int i = 0; i < granite_fatal_signal_count; i++) {
        if (granite_fatal_signals[i] == signal) return i;
    }
    if (signal == 0) return -1;
    if (signal == granite_core.park_signal) return granite_fatal_signal_count;
    return signal == granite_core.dump_signal ? granite_fatal_signal_count + 1 : -1;
}

/// Async-signal-safe.
bool granite_action_is_kept(int signal) { return index_of(signal) >= 0; }

/// Async-signal-safe.
bool granite_action_recall(int signal, struct sigaction *action) {
    int index = index_of(signal);
    if (index < 0) return false;
    for (;;) {
        uint32_t before = __atomic_load_n(&kept[index].current, __ATOMIC_ACQUIRE);
        *action = kept[index].versions[before % versions];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        // Overwritten meanwhile only if so many writers came.
        if (__atomic_load_n(&kept[index].taken, __ATOMIC_ACQUIRE) - before < versions) return true;
    }
}

/// Async-signal-safe.
void granite_action_remember(int signal, const struct sigaction *action) {
    int index = index_of(signal);
    if (index < 0) return;
    uint32_t mine = __atomic_add_fetch(&kept[index].taken, 1, __ATOMIC_ACQ_REL);
    kept[index].versions[mine % versions] = *action;
    // A writer that was interrupted may come here after younger ones: theirs stands.
    uint32_t seen = __atomic_load_n(&kept[index].current, __ATOMIC_RELAXED);
    while ((int32_t)(mine - seen) > 0 &&
           !__atomic_compare_exchange_n(&kept[index].current, &seen, mine, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

/// Async-signal-safe. abort(3) opens SIGABRT itself, so that one may stay blocked.
void granite_action_open_faults(sigset_t *set) {
    for (int i = 0; i < granite_fatal_signal_count; i++) {
        if (granite_fatal_signals[i] != SIGABRT) sigdelset(set, granite_fatal_signals[i]);
    }
}

/// Async-signal-safe.
void granite_action_open(sigset_t *set) {
    granite_action_open_faults(set);
    if (granite_core.park_signal != 0) sigdelset(set, granite_core.park_signal);
    if (granite_core.dump_signal != 0) sigdelset(set, granite_core.dump_signal);
}
