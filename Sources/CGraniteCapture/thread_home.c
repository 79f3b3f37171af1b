// What the calling thread is known by: an id that no other thread ever has, and a name that is asked for once. It is separate because
// both cost a value that is bound to its thread nothing but a load.

#define _GNU_SOURCE
#include <sys/prctl.h>

#include "core.h"
#include "system.h"

/// Initial-exec: no __tls_get_addr, which may allocate.
static __thread struct granite_thread_home home __attribute__((tls_model("initial-exec")));

/// Async-signal-safe: prctl(2). The id is stored last: a signal handler in between fills all again.
static __attribute__((noinline, cold)) void settle(void) {
    static uint64_t threads;
    home.tid = granite_capture_thread_id();
    syscall(SYS_prctl, PR_GET_NAME, home.name, 0, 0, 0);
    home.name[sizeof home.name - 1] = 0;
    uint64_t id = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
    if (home.id == 0) home.id = id;
}

/// Async-signal-safe.
struct granite_thread_home *granite_capture_thread_home(void) {
    if (home.id == 0 || home.tid == 0) settle();
    return &home;
}

/// Async-signal-safe.
bool granite_thread_home_is_waited_for(const struct granite_thread_home *of) {
    return __atomic_load_n(&of->waiting, __ATOMIC_ACQUIRE) != 0;
}

/// Async-signal-safe.
void granite_thread_home_set_waited_for(struct granite_thread_home *of, bool waiting) {
    __atomic_store_n(&of->waiting, waiting ? 1 : 0, __ATOMIC_RELEASE);
}

/// Async-signal-safe. The thread that forked lives on in the child under another thread id; its values are still its own.
void granite_thread_home_forget(void) { home.tid = 0; }
