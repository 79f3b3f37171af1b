// Keeps the park signal and the signals of faults open in every thread, by interposing pthread_sigmask and sigprocmask:
// libdispatch and Swift's task threads block every real-time signal, and a thread that blocks SIGSEGV dies of a fault
// without a handler (sigaction(2)). Nothing here is called after a crash (the core uses the system call
// itself).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>

#include "actions.h"
#include "core.h"
#include "sanitizer.h"

typedef int (*mask_function)(int, const sigset_t *, sigset_t *);

/// Async-signal-safe. The set without our signals, in `copy`; the set itself where nothing has to change.
static const sigset_t *without_our_signals(int how, const sigset_t *set, sigset_t *copy) {
    if (!set || how == SIG_UNBLOCK || !granite_core.installed) return set;
    *copy = *set;
    granite_action_open(copy);
    return copy;
}

/// Interposes pthread_sigmask(3), which is as safe as it was: after the first call no lock is taken.
__attribute__((visibility("default"))) int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    static mask_function next;
    mask_function function = __atomic_load_n(&next, __ATOMIC_ACQUIRE);
    if (!function) {
        function = (mask_function)dlsym(RTLD_NEXT, "pthread_sigmask");
        if (!function) return ENOSYS;
        __atomic_store_n(&next, function, __ATOMIC_RELEASE);
    }
    sigset_t copy;
    return function(how, without_our_signals(how, set, &copy), old);
}

/// Interposes sigprocmask(2).
__attribute__((visibility("default"))) int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    static mask_function next;
    mask_function function = __atomic_load_n(&next, __ATOMIC_ACQUIRE);
    if (!function) {
        function = (mask_function)dlsym(RTLD_NEXT, "sigprocmask");
        if (!function) {
            errno = ENOSYS;
            return -1;
        }
        __atomic_store_n(&next, function, __ATOMIC_RELEASE);
    }
    sigset_t copy;
    return function(how, without_our_signals(how, set, &copy), old);
}
