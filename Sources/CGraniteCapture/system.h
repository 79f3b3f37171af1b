// System calls of the core that the C library wraps only with locks or not at all. All are one kernel entry.

#ifndef GRANITE_SYSTEM_H
#define GRANITE_SYSTEM_H

#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/// Async-signal-safe: gettid(2). syscall(2) keeps no state but errno.
static inline uint32_t granite_thread_id(void) { return (uint32_t)syscall(SYS_gettid); }

/// Async-signal-safe: clock_gettime is in the list of signal-safety(7).
static inline uint64_t granite_clock_ns(clockid_t clock) {
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// Async-signal-safe: futex(2). Sleeps while *word == expected, at most `limit_ns` (UINT64_MAX = for ever).
static inline void granite_futex_sleep(const uint32_t *word, uint32_t expected, uint64_t limit_ns) {
    struct timespec limit = {(time_t)(limit_ns / 1000000000u), (long)(limit_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, limit_ns == UINT64_MAX ? NULL : &limit, NULL, 0);
}

/// Async-signal-safe: futex(2).
static inline void granite_futex_rouse(const uint32_t *word, int sleepers) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, sleepers, NULL, NULL, 0);
}

/// Async-signal-safe: rt_tgsigqueueinfo(2). Returns 0, or -1 with errno.
static inline int granite_queue_signal(pid_t process, uint32_t thread, int signal, siginfo_t *information) {
    return (int)syscall(SYS_rt_tgsigqueueinfo, process, thread, signal, information);
}

/// Async-signal-safe: rt_sigprocmask(2), past the interposed wrappers. The kernel's set is 8 bytes.
static inline int granite_change_mask(int how, const sigset_t *set, sigset_t *old) {
    return (int)syscall(SYS_rt_sigprocmask, how, set, old, 8);
}

#endif
