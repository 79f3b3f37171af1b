#define _GNU_SOURCE
#include "granite_trace.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

int granite_trace_seize(pid_t thread, int follows) {
    return ptrace(PTRACE_SEIZE, thread, 0, follows ? PTRACE_O_TRACECLONE : 0) < 0 ? -1 : 0;
}

int granite_trace_interrupt(pid_t thread) { return ptrace(PTRACE_INTERRUPT, thread, 0, 0) < 0 ? -1 : 0; }

enum granite_trace_event granite_trace_wait(pid_t thread, int waits, pid_t *which, int *detail) {
    int status = 0;
    *detail = -1;
    *which = thread;
    pid_t found;
    do found = waitpid(thread, &status, __WALL | (waits ? 0 : WNOHANG));
    while (found < 0 && errno == EINTR);
    if (found == 0) return GRANITE_TRACE_NOTHING;
    if (found < 0) return GRANITE_TRACE_GONE;
    *which = found;
    if (!WIFSTOPPED(status)) {
        *detail = status;
        return GRANITE_TRACE_GONE;
    }
    *detail = WSTOPSIG(status);
    int event = status >> 16;
    if (event == PTRACE_EVENT_CLONE) return GRANITE_TRACE_CLONE;
    if (event == PTRACE_EVENT_STOP) return *detail == SIGTRAP ? GRANITE_TRACE_INTERRUPT : GRANITE_TRACE_GROUP;
    return event ? GRANITE_TRACE_INTERRUPT : GRANITE_TRACE_SIGNAL;
}

int granite_trace_registers(pid_t thread, uint64_t *words, uint64_t *thread_pointer) {
    struct iovec all = {words, GRANITE_TRACE_MAX_WORDS * sizeof *words};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)(uintptr_t)NT_PRSTATUS, &all) < 0) return -1;
#if defined __x86_64__
    // A 32-bit program has fewer and narrower registers.
    if (all.iov_len != sizeof(struct user_regs_struct)) {
        errno = ENOTSUP;
        return -1;
    }
    *thread_pointer = ((struct user_regs_struct *)words)->fs_base;
#elif defined __aarch64__
    struct iovec pointer = {thread_pointer, sizeof *thread_pointer};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)(uintptr_t)NT_ARM_TLS, &pointer) < 0) return -1;
#endif
    return (int)(all.iov_len / sizeof *words);
}

int granite_trace_signal_of(pid_t thread, struct granite_trace_signal *signal) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (ptrace(PTRACE_GETSIGINFO, thread, 0, &info) < 0) return -1;
    memset(signal, 0, sizeof *signal);
    signal->number = info.si_signo;
    signal->code = info.si_code;
    signal->error = info.si_errno;
    if (info.si_code <= 0) {
        signal->sender_pid = info.si_pid;
        signal->sender_uid = info.si_uid;
    } else {
        signal->address = (uint64_t)(uintptr_t)info.si_addr;
    }
    return 0;
}

int granite_trace_restart(pid_t thread) {
#if defined __x86_64__
    struct user_regs_struct registers;
    struct iovec all = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, thread, (void *)(uintptr_t)NT_PRSTATUS, &all) < 0) return 0;
    if (all.iov_len != sizeof registers || (int64_t)registers.rax != -EINTR) return 0;
    switch (registers.orig_rax) {
        case SYS_epoll_wait:
        case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
        case SYS_epoll_pwait2:
#endif
        case SYS_semop: break;
        case SYS_semtimedop:
            if (registers.r10) return 0;
            break;
        default: return 0;
    }
    // ERESTARTNOHAND (linux/errno.h): the kernel begins the call anew, unless a handler runs first; then it fails with
    // EINTR as ever.
    const long begin_anew = -514;
    return ptrace(PTRACE_POKEUSER, thread, (void *)offsetof(struct user, regs.rax), (void *)begin_anew) == 0;
#else
    (void)thread;  // arm64 decides about a restart before it stops
    return 0;
#endif
}

int granite_trace_continue(pid_t thread, int signal) {
    return ptrace(PTRACE_CONT, thread, 0, (void *)(intptr_t)signal) < 0 ? -1 : 0;
}

int granite_trace_listen(pid_t thread) { return ptrace(PTRACE_LISTEN, thread, 0, 0) < 0 ? -1 : 0; }

int granite_trace_detach(pid_t thread, int signal) {
    return ptrace(PTRACE_DETACH, thread, 0, (void *)(intptr_t)signal) < 0 ? -1 : 0;
}
