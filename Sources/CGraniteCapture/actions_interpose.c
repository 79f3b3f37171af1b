// sigaction(2) and signal(3) for the whole process. For the signals that Granite handles the kernel's action stays ours;
// the program's is remembered. Everything else passes.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "actions.h"
#include "core.h"
#include "sanitizer.h"

#define INTERPOSED __attribute__((visibility("default")))

typedef sighandler_t (*signal_function)(int, sighandler_t);
/// The C library's signal(3) with the semantics of BSD and of System V.
static signal_function next_bsd;
static signal_function next_system_v;

static void (*pipe_observer)(const void *);

/// Call before any crash.
void granite_capture_observe_pipe_signal(void (*observer)(const void *)) { pipe_observer = observer; }

/// As safe as the observer is, which is called for SIGPIPE alone.
static void observe(int signal, const struct sigaction *action, const void *caller) {
    if (signal != SIGPIPE || !pipe_observer || !action || action->sa_handler != SIG_IGN) return;
    if (granite_core.installed && getpid() == granite_core.pid) pipe_observer(caller);
}

/// Call before any crash: dlsym locks and may allocate.
bool granite_actions_load(void) {
    if (!__atomic_load_n(&granite_next_action, __ATOMIC_ACQUIRE)) {
        __atomic_store_n(&next_bsd, (signal_function)dlsym(RTLD_NEXT, "signal"), __ATOMIC_RELEASE);
        __atomic_store_n(&next_system_v, (signal_function)dlsym(RTLD_NEXT, "__sysv_signal"), __ATOMIC_RELEASE);
        __atomic_store_n(&granite_next_action, (granite_action_function)dlsym(RTLD_NEXT, "sigaction"),
                         __ATOMIC_RELEASE);
    }
    return granite_next_action != NULL;
}

/// Async-signal-safe: getpid. A child between vfork(2) and execve(2) has our memory, but signal actions of its own.
static bool is_remembered(int signal) {
    return granite_core.installed && granite_action_is_kept(signal) && getpid() == granite_core.pid;
}

/// Interposes sigaction(2). As safe as it was once the C library's is resolved, which granite_capture_install does.
INTERPOSED int sigaction(int signal, const struct sigaction *action, struct sigaction *old) {
    observe(signal, action, __builtin_return_address(0));
    if (!granite_next_action && !granite_actions_load()) {
        errno = ENOSYS;
        return -1;
    }
    if (!is_remembered(signal)) {
        // A handler that blocks everything would make a fault in it a death without a report.
        if (!action || !granite_core.installed) return granite_next_action(signal, action, old);
        struct sigaction opened = *action;
        granite_action_open(&opened.sa_mask);
        return granite_next_action(signal, &opened, old);
    }
    struct sigaction before;
    granite_action_recall(signal, &before);
    if (action) {
        struct sigaction wanted = *action;  // old and action may be one
        granite_action_remember(signal, &wanted);
    }
    if (old) *old = before;
    return 0;
}

/// As safe as sigaction above. Only for the remembered signals it is ours: the C library's also knows siginterrupt(3).
static sighandler_t set_handler(int signal, sighandler_t handler, int flags) {
    bool is_bsd = flags & SA_RESTART;
    signal_function *next = is_bsd ? &next_bsd : &next_system_v;
    if (!is_remembered(signal) && granite_actions_load() && *next) return (*next)(signal, handler);
    if (handler == SIG_ERR) {
        errno = EINVAL;
        return SIG_ERR;
    }
    struct sigaction action;
    struct sigaction old;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    if (is_bsd) sigaddset(&action.sa_mask, signal);
    return sigaction(signal, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

/// Interposes signal(3) with BSD semantics, glibc's default.
INTERPOSED sighandler_t signal(int signal, sighandler_t handler) { return set_handler(signal, handler, SA_RESTART); }

/// Interposes glibc's other names of it.
INTERPOSED sighandler_t bsd_signal(int signal, sighandler_t handler) {
    return set_handler(signal, handler, SA_RESTART);
}

INTERPOSED sighandler_t ssignal(int signal, sighandler_t handler) { return set_handler(signal, handler, SA_RESTART); }

/// Interposes signal(3) with System V semantics.
INTERPOSED sighandler_t sysv_signal(int signal, sighandler_t handler) {
    return set_handler(signal, handler, (int)SA_RESETHAND | SA_NODEFER);
}

INTERPOSED sighandler_t __sysv_signal(int signal, sighandler_t handler) {
    return set_handler(signal, handler, (int)SA_RESETHAND | SA_NODEFER);
}
