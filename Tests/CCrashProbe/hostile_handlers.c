// Programs that handle the signals of faults themselves: see hostile_probe.h.

#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "crash_probe.h"
#include "hostile_probe.h"

#define KEPT __attribute__((noinline))
#define STAY __asm__ volatile("")  // keeps a call from becoming a jump

typedef void (*information_handler)(int, siginfo_t *, void *);

static struct sigaction previous;
static volatile int calls;

static int take(int signal, information_handler handler, int flags) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | flags};
    action.sa_sigaction = handler;
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, &previous);
}

static KEPT int take_and_fault(information_handler handler, int flags) {
    if (take(SIGSEGV, handler, flags) != 0) return 70;
    int result = granite_probe_null_read();
    STAY;
    return result;
}

static sigjmp_buf back;

static void leave(int signal, siginfo_t *information, void *context) {
    (void)information;
    (void)context;
    siglongjmp(back, signal);
}

static KEPT int try_address(void) {
    if (sigsetjmp(back, 1) != 0) return 1;
    granite_probe_null_read();
    return 0;
}

int granite_hostile_handler_recovers(void) {
    if (take(SIGSEGV, leave, SA_ONSTACK) != 0) return 70;
    // Nothing but this counter differs from round to round.
    static volatile int rounds;
    while (rounds++ < 2000) {
        if (try_address() != 1) return 1;
    }
    return 0;
}

static KEPT int fault_deeper(int depth) {
    volatile char room[256];
    room[0] = (char)depth;
    int result = depth == 0 ? granite_probe_null_write() : fault_deeper(depth - 1);
    STAY;
    return result + room[0];
}

static void write_over_stack(int number) {
    char room[8192];
    memset(room, 0xa5, sizeof room);
    STAY;
    calls += room[number % 16] & 1;
}

/// Handlers of faults run on the alternate stack, so that a second signal there overwrites what siglongjmp left behind.
static KEPT int overwrite_alternate_stack(void) {
    struct sigaction action = {.sa_flags = SA_ONSTACK};
    action.sa_handler = write_over_stack;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGUSR1, &action, NULL) != 0 || raise(SIGUSR1) != 0;
}

static int probing_flags;

static KEPT int try_deeper(int depth) {
    volatile char room[512];
    room[0] = (char)depth;
    int result = depth == 0 ? try_address() : try_deeper(depth - 1);
    STAY;
    return result + room[0] * 0;
}

static KEPT int probe_addresses(void) {
    if (take(SIGSEGV, leave, probing_flags) != 0) return 70;
    for (int i = 0; i < 3; i++) {
        if (try_address() != 1) return 1;
    }
    if (try_deeper(20) != 1 || try_address() != 1) return 2;
    if (overwrite_alternate_stack() != 0 || try_address() != 1 || try_deeper(20) != 1) return 3;
    return 0;
}

int granite_hostile_thread_recovers(int flags) {
    probing_flags = flags;
    return granite_probe_on_thread(256 << 10, probe_addresses);
}

KEPT int granite_hostile_fault_after_recovery(void) {
    if (take(SIGSEGV, leave, 0) != 0 || try_address() != 1 || overwrite_alternate_stack() != 0) return 70;
    signal(SIGSEGV, SIG_DFL);
    int result = fault_deeper(20);
    STAY;
    return result;
}

static char *barrier;

static void mend(int signal, siginfo_t *information, void *context) {
    (void)signal;
    (void)context;
    if (information->si_addr != barrier) _exit(71);
    mprotect(barrier, 4096, PROT_READ | PROT_WRITE);
}

int granite_hostile_handler_mends(void) {
    barrier = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (barrier == MAP_FAILED || take(SIGSEGV, mend, 0) != 0) return 70;
    for (volatile int i = 0; i < 5000; i++) {
        *(volatile char *)barrier = 1;
        mprotect(barrier, 4096, PROT_READ);
    }
    return 0;
}

#if defined(__x86_64__)
static void skip(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)information;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

int granite_hostile_handler_skips(void) {
    if (take(SIGSEGV, skip, 0) != 0) return 70;
    static volatile int rounds;
    while (rounds++ < 2000) __asm__ volatile("xorl %%eax, %%eax\n\tmovl (%%rax), %%eax" ::: "rax", "cc");
    return 0;
}
#else
int granite_hostile_handler_skips(void) { return 0; }
#endif

static void do_nothing(int signal, siginfo_t *information, void *context) {
    (void)signal;
    (void)information;
    (void)context;
}

KEPT int granite_hostile_handler_returns(void) {
    int result = take_and_fault(do_nothing, 0);
    STAY;
    return result;
}

static void restore(int number, siginfo_t *information, void *context) {
    (void)information;
    (void)context;
    signal(number, SIG_DFL);
}

KEPT int granite_hostile_handler_restores(void) {
    int result = take_and_fault(restore, 0);
    STAY;
    return result;
}

static void restore_and_raise(int number, siginfo_t *information, void *context) {
    (void)information;
    (void)context;
    signal(number, SIG_DFL);
    raise(number);
    _exit(72);  // as many do, in case that raise(3) did not kill
}

KEPT int granite_hostile_handler_raises(void) {
    int result = take_and_fault(restore_and_raise, SA_NODEFER);
    STAY;
    return result;
}

static void restore_previous_and_raise(int number, siginfo_t *information, void *context) {
    (void)information;
    (void)context;
    sigaction(number, &previous, NULL);
    raise(number);
}

KEPT int granite_hostile_handler_raises_previous(void) {
    int result = take_and_fault(restore_previous_and_raise, SA_NODEFER | SA_ONSTACK);
    STAY;
    return result;
}

static const int sentry_signals[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
static struct sigaction sentry_previous[6];

static void report_as_sentry(int number, siginfo_t *information, void *context) {
    (void)information;
    (void)context;
    char report[16384];  // it builds its event here
    memset(report, number, sizeof report);
    STAY;
    for (int i = 0; i < 6; i++) sigaction(sentry_signals[i], &sentry_previous[i], NULL);
    raise(number);
}

KEPT int granite_hostile_handler_of_sentry(void) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    if (sigaltstack(&alternate, NULL) != 0) return 70;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    action.sa_sigaction = report_as_sentry;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < 6; i++) {
        if (sigaction(sentry_signals[i], NULL, &sentry_previous[i]) != 0) return 71;
        if (sigaction(sentry_signals[i], &action, NULL) != 0) return 72;
    }
    int result = granite_probe_null_read();
    STAY;
    return result;
}

static void end_by_abort(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)information;
    (void)context;
    granite_probe_abort();
    STAY;
}

KEPT int granite_hostile_handler_aborts(void) {
    int result = take_and_fault(end_by_abort, SA_ONSTACK);
    STAY;
    return result;
}

static void end_by_exit(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)information;
    (void)context;
    _exit(9);
}

KEPT int granite_hostile_handler_exits(void) {
    int result = take_and_fault(end_by_exit, 0);
    STAY;
    return result;
}

static void fault_again(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)information;
    (void)context;
    granite_probe_null_write();
    STAY;
}

KEPT int granite_hostile_handler_faults(void) {
    int result = take_and_fault(fault_again, SA_ONSTACK);
    STAY;
    return result;
}

static void count(int number) {
    (void)number;
    calls++;
}

static int overflow(void) { return granite_probe_overflow(0); }

KEPT int granite_hostile_overflow_with_handler(int on_thread) {
    if (take(SIGSEGV, restore_previous_and_raise, SA_NODEFER | SA_ONSTACK) != 0) return 70;
    int result = on_thread ? granite_probe_on_thread(256 << 10, overflow) : overflow();
    STAY;
    return result;
}

static void overflow_too(int number, siginfo_t *information, void *context) {
    (void)number;
    (void)information;
    (void)context;
    granite_probe_overflow(0);
    STAY;
}

KEPT int granite_hostile_handler_overflows(void) {
    int result = take_and_fault(overflow_too, 0);
    STAY;
    return result;
}

KEPT int granite_hostile_handler_once(void) {
    if (sysv_signal(SIGSEGV, count) != SIG_DFL) return 70;
    int result = granite_probe_null_read();
    STAY;
    return result;
}

/// The kernel's own record (rt_sigaction(2)).
struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
static struct kernel_action kernel_previous;

static void pass_on(int number, siginfo_t *information, void *context) {
    kernel_previous.handler(number, information, context);
}

KEPT int granite_hostile_handler_raw(void) {
    // Go's runtime does this: with the restorer of what was there, it calls on what was there.
    if (syscall(SYS_rt_sigaction, SIGSEGV, NULL, &kernel_previous, 8) != 0) return 70;
    struct kernel_action action = kernel_previous;
    action.handler = pass_on;
    if (syscall(SYS_rt_sigaction, SIGSEGV, &action, NULL, 8) != 0) return 71;
    int result = granite_probe_null_read();
    STAY;
    return result;
}

KEPT int granite_hostile_abort_handler_returns(void) {
    if (signal(SIGABRT, count) != SIG_DFL) return 70;
    int result = granite_probe_abort();
    STAY;
    return result;
}

KEPT int granite_hostile_abort_ignored(void) {
    if (signal(SIGABRT, SIG_IGN) != SIG_DFL) return 70;
    raise(SIGABRT);
    int result = granite_probe_abort();
    STAY;
    return result;
}

int granite_hostile_raise_is_harmless(void) {
    signal(SIGABRT, count);
    raise(SIGABRT);
    signal(SIGABRT, SIG_IGN);
    raise(SIGABRT);
    signal(SIGSEGV, SIG_IGN);
    kill(getpid(), SIGSEGV);
    signal(SIGSEGV, count);
    kill(getpid(), SIGSEGV);
    return calls == 2 ? 0 : 1;
}

int granite_hostile_actions_are_true(void) {
    struct sigaction now;
    if (sigaction(SIGSEGV, NULL, &now) != 0 || now.sa_handler != SIG_DFL) return 1;
    if (signal(SIGSEGV, count) != SIG_DFL) return 2;
    if (sigaction(SIGSEGV, NULL, &now) != 0 || now.sa_handler != count || !(now.sa_flags & SA_RESTART)) return 3;
    struct sigaction wanted = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    wanted.sa_sigaction = do_nothing;
    sigemptyset(&wanted.sa_mask);
    sigaddset(&wanted.sa_mask, SIGUSR2);
    if (sigaction(SIGSEGV, &wanted, &now) != 0 || now.sa_handler != count) return 4;
    if (sigaction(SIGSEGV, NULL, &now) != 0 || now.sa_sigaction != do_nothing) return 5;
    if (now.sa_flags != wanted.sa_flags || sigismember(&now.sa_mask, SIGUSR2) != 1) return 6;
    if (signal(SIGSEGV, SIG_DFL) == SIG_ERR || signal(SIGSEGV, SIG_IGN) != SIG_DFL) return 7;
    struct kernel_action kernel;
    if (syscall(SYS_rt_sigaction, SIGSEGV, NULL, &kernel, 8) != 0) return 8;
    if ((void *)kernel.handler == (void *)SIG_IGN) return 9;
    if (signal(SIGSEGV, SIG_ERR) != SIG_ERR || signal(SIGUSR1, SIG_ERR) != SIG_ERR) return 10;
    // siginterrupt(3) is a promise about the next signal(3).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // what it promises still holds
    int promised = siginterrupt(SIGUSR1, 1);
#pragma GCC diagnostic pop
    if (promised != 0 || signal(SIGUSR1, count) != SIG_DFL) return 11;
    if (sigaction(SIGUSR1, NULL, &now) != 0 || now.sa_flags & SA_RESTART) return 12;
    return sigismember(&now.sa_mask, SIGUSR1) == 1 ? 0 : 13;
}

/// The kernel's handler must stay what it is, and what the program sent itself must find its handler.
static int keeps_signal(int number) {
    struct kernel_action before;
    struct kernel_action after;
    int calls_before = calls;
    if (syscall(SYS_rt_sigaction, number, NULL, &before, 8) != 0) return 1;
    if (signal(number, SIG_DFL) == SIG_ERR) return 2;
    if (syscall(SYS_rt_sigaction, number, NULL, &after, 8) != 0 || before.handler != after.handler) return 3;
    if (signal(number, count) != SIG_DFL) return 4;
    if (raise(number) != 0 || calls != calls_before + 1) return 5;
    return 0;
}

int granite_hostile_signals_are_kept(void) {
    int park = keeps_signal(SIGRTMAX - 3);
    int dump = keeps_signal(SIGRTMAX - 4);
    if (park != 0 || dump != 0) return park * 10 + dump;
    pid_t child = fork();
    if (child == 0) {
        // The child has the program's handlers.
        struct kernel_action action;
        for (int number = SIGRTMAX - 4; number <= SIGRTMAX - 3; number++) {
            if (syscall(SYS_rt_sigaction, number, NULL, &action, 8) != 0) _exit(1);
            if ((void *)action.handler != (void *)count) _exit(2);
        }
        _exit(0);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : 60;
}

static volatile int mask_is_open;

static void look_at_mask(int number) {
    (void)number;
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
    mask_is_open = !(mask >> (SIGRTMAX - 4) & 1) && !(mask >> (SIGRTMAX - 5) & 1) && !(mask >> (SIGSEGV - 1) & 1);
}

int granite_hostile_handler_masks_are_open(void) {
    struct sigaction action = {.sa_flags = 0};
    action.sa_handler = look_at_mask;
    sigfillset(&action.sa_mask);
    if (sigaction(SIGUSR1, &action, NULL) != 0 || raise(SIGUSR1) != 0) return 70;
    return mask_is_open ? 0 : 1;
}
