// The fatal signal handler: who may capture (the gate), stages A, F and Z, and the order of the stages between.
// Every function here may run in a signal handler: plain stores, and functions of the list in signal-safety(7) only.

#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "actions.h"
#include "arch.h"
#include "chain.h"
#include "core.h"
#include "system.h"

const int granite_fatal_signals[granite_fatal_signal_count] = {SIGSEGV, SIGBUS,  SIGILL, SIGFPE,
                                                               SIGABRT, SIGTRAP, SIGSYS};

/// Async-signal-safe: sigfillset and sigdelset are in the list of signal-safety(7).
void granite_fill_handler_mask(sigset_t *mask) {
    sigfillset(mask);
    granite_action_open_faults(mask);
}

/// Async-signal-safe: an atomic store.
void granite_capture_publish(uint32_t stage) {
    __atomic_store_n(&granite_core.page->capture.stage, stage, __ATOMIC_RELEASE);
}

/// Async-signal-safe: stores, memset (signal-safety(7)).
void granite_capture_begin(uint32_t kind, uint32_t tid, const ucontext_t *context, uint64_t entered_ns) {
    struct granite_crash_page *page = granite_core.page;
    struct granite_capture *capture = &page->capture;
    granite_capture_publish(GRANITE_STAGE_IDLE);
    uint32_t sequence = capture->sequence + 1;
    memset(capture, 0, sizeof *capture);
    capture->kind = kind;
    capture->sequence = sequence ? sequence : 1;
    capture->crashed_tid = tid;
    capture->time_ns = granite_clock_ns(CLOCK_REALTIME);
    capture->entered_ns = entered_ns;
    capture->thread_count = 1;

    struct granite_thread *thread = &page->threads[0];
    memset(thread, 0, sizeof *thread);
    thread->tid = tid;
    thread->time_ns = entered_ns;
    thread->fs_base = granite_arch_thread_pointer();
    granite_arch_store_registers(context, thread->registers);
    thread->state = GRANITE_THREAD_CRASHED;
}

/// Async-signal-safe: stores.
static void store_signal(int signal, const siginfo_t *information, const ucontext_t *context) {
    struct granite_capture *capture = &granite_core.page->capture;
    capture->signal_number = signal;
    capture->signal_code = information->si_code;
    capture->signal_errno = information->si_errno;
    // si_code <= 0: a process sent it, and the union holds the sender (sigaction(2)); above: the kernel did, and it
    // holds the address.
    if (information->si_code <= 0) {
        capture->sender_pid = information->si_pid;
        capture->sender_uid = information->si_uid;
    } else {
        capture->signal_address = (uint64_t)(uintptr_t)information->si_addr;
    }
    capture->trap_number = granite_arch_trap_number(context);
    capture->error_code = granite_arch_error_code(context);
}

/// Async-signal-safe.
void granite_capture_run(const ucontext_t *context, bool in_handler) {
    struct granite_capture *capture = &granite_core.page->capture;
    capture->claimed_ns = granite_clock_ns(CLOCK_MONOTONIC);
    granite_capture_publish(GRANITE_STAGE_CLAIMED);

    granite_descriptors_check();
    granite_park_all();
    capture->parked_ns = granite_clock_ns(CLOCK_MONOTONIC);
    granite_capture_publish(GRANITE_STAGE_PARKED);

    granite_walk(context, in_handler);
    capture->walked_ns = granite_clock_ns(CLOCK_MONOTONIC);
    granite_capture_publish(GRANITE_STAGE_WALKED);

    granite_snapshot_take(in_handler ? context : NULL);
    capture->copied_ns = granite_clock_ns(CLOCK_MONOTONIC);
    granite_capture_publish(GRANITE_STAGE_COPIED);

    granite_memory_serve();
    capture->served_ns = granite_clock_ns(CLOCK_MONOTONIC);
    granite_capture_publish(GRANITE_STAGE_SERVED);
}

/// Async-signal-safe: sigaction is in the list of signal-safety(7).
static void restore_default(int signal) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigemptyset(&action.sa_mask);
    granite_action_change(signal, &action, NULL);
}

/// Async-signal-safe. Whether the kernel raises the signal again, with the same siginfo, once the handler returns to
/// the instruction.
static bool repeats(int signal, const siginfo_t *information) {
    if (information->si_code <= 0) return false;
    switch (signal) {
        case SIGSEGV:
        case SIGBUS:
        case SIGILL:
        case SIGFPE:
            return true;
        case SIGTRAP:
            return GRANITE_ARCH_TRAP_REPEATS;
        default:
            return false;  // SIGSYS of seccomp: the instruction pointer is behind the system call
    }
}

/// Async-signal-safe. Stage F: with the default action in place, lets the kernel report the signal once the handler
/// returns.
static void leave_to_default(int signal, siginfo_t *information) {
    restore_default(signal);
    if (repeats(signal, information)) return;
    // The original siginfo is queued again, so that a core dump or a tracer sees who sent it. The signal is pending
    // until the handler returns, unless SA_NODEFER left it open: then the process ends here.
    if (granite_queue_signal(granite_core.pid, granite_thread_id(), signal, information) != 0) {
        syscall(SYS_tgkill, granite_core.pid, granite_thread_id(), signal);
    }
}

/// Async-signal-safe. Dies of the first signal here and now: the frames below are not to be returned to.
static _Noreturn void die_at_once(void) {
    int signal = granite_core.first_signal;
    restore_default(signal);
    sigset_t open;
    sigemptyset(&open);
    sigaddset(&open, signal);
    granite_change_mask(SIG_UNBLOCK, &open, NULL);
    if (granite_queue_signal(granite_core.pid, granite_thread_id(), signal, &granite_core.first_information) != 0) {
        syscall(SYS_tgkill, granite_core.pid, granite_thread_id(), signal);
    }
    _exit(128 + signal);  // not reached unless a tracer swallows the signal
}

/// Async-signal-safe. Stage Z: the capturing thread itself met a fault.
static _Noreturn void end_after_second_fault(int signal, siginfo_t *information) {
    if (granite_core.first_signal == 0) {  // the drop-site road: this is the signal to die of
        granite_core.first_signal = signal;
        granite_core.first_information = *information;
    }
    if (!granite_core.dying) {
        granite_core.dying = true;  // a fault in the stores below comes here again and goes on to die
        struct granite_capture *capture = &granite_core.page->capture;
        capture->second_fault_signal = signal;
        capture->second_fault_address = information->si_code > 0 ? (uint64_t)(uintptr_t)information->si_addr : 0;
        __atomic_or_fetch(&capture->flags, GRANITE_CAPTURE_SECOND_FAULT, __ATOMIC_RELEASE);
    }
    die_at_once();
}

/// What granite_handle_fatal hands to the capture stack.
struct fatal {
    int signal;
    uint32_t tid;
    const siginfo_t *information;
    const ucontext_t *context;
    uint64_t entered_ns;
};

/// Async-signal-safe. Stages A to E, on the capture stack.
static void capture_fatal(void *pointer) {
    const struct fatal *fatal = pointer;
    granite_core.first_signal = fatal->signal;
    granite_core.first_information = *fatal->information;
    granite_capture_begin(GRANITE_KIND_SIGNAL, fatal->tid, fatal->context, fatal->entered_ns);
    store_signal(fatal->signal, fatal->information, fatal->context);
    granite_capture_run(fatal->context, true);
    granite_capture_publish(GRANITE_STAGE_FINISHED);
}

/// Async-signal-safe. A fault of the thread that captures: back to the guard of the walk or the copy, if there is one.
static void leave_to_guard(int signal) {
    if (!granite_core.guarded) return;
    granite_core.guarded = false;
    siglongjmp(granite_core.guard, signal);
}

/// Async-signal-safe.
void granite_handle_fatal(int signal, siginfo_t *information, void *pointer) {
    int saved_errno = errno;
    uint64_t entered_ns = granite_clock_ns(CLOCK_MONOTONIC);
    const ucontext_t *context = pointer;
    // A child between vfork(2) and execve(2) shares our memory: not our crash, and not our page.
    if (getpid() != granite_core.pid) {
        restore_default(signal);
        if (!repeats(signal, information)) granite_queue_signal(getpid(), granite_thread_id(), signal, information);
        errno = saved_errno;
        return;
    }

    uint32_t me = granite_thread_id();
    bool capturing = __atomic_load_n(&granite_core.gate, __ATOMIC_ACQUIRE) == me;
    bool late = granite_watchdog_sent(signal, information);
    if (capturing) leave_to_guard(signal);
    if (capturing && !late) end_after_second_fault(signal, information);
    if (late || granite_chain_run(signal, information, pointer)) {
        errno = saved_errno;
        return;
    }

    // The death that a handler of the program asks for is that of the fault that it was given.
    const struct granite_chained *raised = granite_chain_raised(signal, information, context);
    struct fatal fatal = {.signal = signal,
                          .tid = me,
                          .information = raised ? raised->information : information,
                          .context = raised ? raised->context : context,
                          .entered_ns = entered_ns};
    for (;;) {
        uint32_t owner = 0;
        if (__atomic_compare_exchange_n(&granite_core.gate, &owner, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            break;
        granite_park_faulted(fatal.context);
    }
    granite_run_on_capture_stack(capture_fatal, &fatal);
    if (raised) die_at_once();  // that handler may have other plans for what comes after raise(3)
    leave_to_default(signal, information);
    errno = saved_errno;
}
