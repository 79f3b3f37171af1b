// Ends a walk that never ends by itself: libunwind may loop in broken call frame information, or wait for a lock that a
// parked thread holds. The deadline between two steps does not help within one.

#define _GNU_SOURCE
#include <signal.h>
#include <string.h>

#include "core.h"
#include "system.h"

/// A loop spends processor time, which a busy machine does not take from it; a wait for a lock spends only time.
enum { timer_count = 2, patience = 8 };
static const clockid_t clocks[timer_count] = {CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC};
static int timers[timer_count];
static bool has_timer[timer_count];

/// Async-signal-safe: timer_create(2) by the system call; the C library's may allocate. SIGTRAP is open in the handler.
void granite_watchdog_begin(uint64_t limit_ns) {
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGTRAP;
    event.sigev_value.sival_ptr = &granite_core;
    event._sigev_un._tid = (pid_t)granite_thread_id();
    for (int i = 0; i < timer_count; i++) {
        uint64_t after_ns = i == 0 ? limit_ns : limit_ns * patience;
        has_timer[i] = syscall(SYS_timer_create, clocks[i], &event, &timers[i]) == 0;
        if (!has_timer[i]) continue;  // RLIMIT_SIGPENDING is spent
        struct itimerspec once = {.it_value = {(time_t)(after_ns / 1000000000u), (long)(after_ns % 1000000000u)}};
        syscall(SYS_timer_settime, timers[i], 0, &once, NULL);
    }
}

/// Async-signal-safe: timer_delete(2).
void granite_watchdog_end(void) {
    for (int i = 0; i < timer_count; i++) {
        if (has_timer[i]) syscall(SYS_timer_delete, timers[i]);
        has_timer[i] = false;
    }
}

/// Async-signal-safe.
bool granite_watchdog_sent(int signal, const siginfo_t *information) {
    return signal == SIGTRAP && information->si_code == SI_TIMER && information->si_value.sival_ptr == &granite_core;
}
