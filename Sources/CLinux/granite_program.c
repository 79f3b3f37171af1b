// Runs a program as its parent without leaving a trace in it.

#define _GNU_SOURCE
#include "granite_program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/// What this process was started with.
static sigset_t first_mask;
static struct sigaction first_child_action;

void granite_signals_hold(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &first_mask);
    // Ignored, the kernel would reap the children itself (sigaction(2)).
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(SIGCHLD, &action, &first_child_action);
}

/// Async-signal-safe, as all in a new child must be.
static _Noreturn void become(const char *path, char *const *arguments, char *const *environment, int report) {
    if (first_child_action.sa_handler == SIG_IGN) sigaction(SIGCHLD, &first_child_action, NULL);
    sigprocmask(SIG_SETMASK, &first_mask, NULL);
    execve(path, arguments, environment);
    int error = errno;
    if (error == ENOEXEC) {
        size_t count = 0;
        while (arguments[count]) count++;
        const char *shell[count + 2];
        shell[0] = "/bin/sh";
        shell[1] = path;
        for (size_t i = 1; i <= count; i++) shell[i + 1] = arguments[i];
        execve(shell[0], (char *const *)shell, environment);
    }
    if (write(report, &error, sizeof error) < 0) _exit(126);
    _exit(127);
}

int granite_program_start(const char *path, char *const *arguments, char *const *environment, pid_t *pid) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return errno;
    pid_t child = fork();
    if (child == 0) become(path, arguments, environment, ends[1]);
    int error = child < 0 ? errno : 0;
    close(ends[1]);
    if (child > 0) {
        // Closed by a successful execve: nothing is read then.
        ssize_t count;
        do count = read(ends[0], &error, sizeof error);
        while (count < 0 && errno == EINTR);
        if (count != sizeof error) error = 0;
        if (error) waitpid(child, NULL, 0);
    }
    close(ends[0]);
    if (!error) *pid = child;
    return error;
}

int granite_has_capabilities(int fd) { return fgetxattr(fd, "security.capability", NULL, 0) > 0; }

int granite_signal_descriptor(void) {
    sigset_t all;
    sigfillset(&all);
    return signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
}

int granite_signal_next(int descriptor, struct granite_signal_arrival *arrival) {
    struct signalfd_siginfo info;
    if (read(descriptor, &info, sizeof info) != sizeof info) return 0;
    *arrival = (struct granite_signal_arrival){
        .signal = (int)info.ssi_signo, .code = info.ssi_code, .value = info.ssi_ptr};
    return 1;
}

/// The status as waitpid(2) packs it.
static int packed(const siginfo_t *info) {
    switch (info->si_code) {
    case CLD_EXITED: return (info->si_status & 0xff) << 8;
    case CLD_DUMPED: return info->si_status | 0x80;
    case CLD_STOPPED:
    case CLD_TRAPPED: return info->si_status << 8 | 0x7f;
    default: return info->si_status;
    }
}

/// waitid(2) itself tells the resources too, which the C library's function does not.
static int look(idtype_t type, pid_t pid, int options, siginfo_t *info, struct rusage *resources) {
    memset(info, 0, sizeof *info);
    return (int)syscall(SYS_waitid, type, pid, info, options | WNOHANG, resources);
}

int granite_child_next(pid_t kept, struct granite_child_change *change) {
    siginfo_t info;
    if (look(P_ALL, 0, WEXITED | WSTOPPED | WNOWAIT, &info, &change->resources) < 0 || info.si_pid == 0) return 0;
    change->pid = info.si_pid;
    change->wait_status = packed(&info);
    bool stopped = info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED;
    if (stopped || info.si_pid != kept) {
        siginfo_t taken;
        look(P_PID, info.si_pid, stopped ? WSTOPPED : WEXITED, &taken, NULL);
    }
    return 1;
}

void granite_stop_self(int signal) {
    struct sigaction action = {.sa_handler = SIG_DFL}, before;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    if (signal != SIGSTOP) sigaction(signal, &action, &before);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &one, NULL);  // here it stops
    sigprocmask(SIG_BLOCK, &one, NULL);
    if (signal != SIGSTOP) sigaction(signal, &before, NULL);
}

void granite_die_of(int signal) {
    struct rlimit none;
    if (getrlimit(RLIMIT_CORE, &none) == 0) {
        none.rlim_cur = 0;
        setrlimit(RLIMIT_CORE, &none);
    }
    // A pipe in core_pattern does not ask for the limit (core(5)).
    prctl(PR_SET_DUMPABLE, 0);
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal, &action, NULL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}
