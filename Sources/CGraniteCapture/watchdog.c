// Ends a walk that never ends by itself: libunwind may loop in broken call frame information, or wait for a lock that a
// parked thread holds. The deadline between two steps does not help within one.

#define _GNU_SOURCE
#include <signal.h>
#include <string.h>

#include "core.h"
#include "system.h"

static int timer;
static bool has_timer;

/// Async-signal-safe: timer_create(2) by the system call; the C library's may allocate. SIGTRAP is open in the handler.
void granite_watchdog_begin(uint64_t limit_ns) {
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGTRAP;
    event.sigev_value.sival_ptr = &granite_core;
    event._sigev_un._tid = (pid_t)granite_thread_id();
    has_timer = syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0;
    if (!has_timer) return;  // RLIMIT_SIGPENDING is spent
    struct itimerspec once = {.it_value = {(time_t)(limit_ns / 1000000000u), (long)(limit_ns % 1000000000u)}};
    syscall(SYS_timer_settime, timer, 0, &once, NULL);
}

/// Async-signal-safe: timer_delete(2).
void granite_watchdog_end(void) {
    if (has_timer) syscall(SYS_timer_delete, timer);
    has_timer = false;
}

/// Async-signal-safe.
bool granite_watchdog_sent(int signal, const siginfo_t *information) {
    return signal == SIGTRAP && information->si_code == SI_TIMER && information->si_value.sival_ptr == &granite_core;
}
