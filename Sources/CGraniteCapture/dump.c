// A capture of a healthy process that another process asks for, by a signal to the thread of interest: the thread
// captures all others from its handler and returns to what it did. It may hold any lock, as in a crash.

#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "core.h"
#include "system.h"

/// Async-signal-safe: getuid (signal-safety(7)). Whoever may send the signal may kill us as well (kill(2)): the check
/// keeps strangers' signals of that number apart, it is no border of trust.
static bool is_request(const siginfo_t *information, uint64_t word) {
    if (information->si_code != SI_QUEUE || word >> 48 != GRANITE_DUMP_MAGIC) return false;
    if (information->si_uid != 0 && information->si_uid != getuid()) return false;
    uint32_t cause = (uint32_t)word;
    return cause >= GRANITE_CAUSE_ASKED && cause <= GRANITE_CAUSE_STALL_TIMEOUT;
}

/// What granite_handle_dump hands to the capture stack.
struct dump {
    uint32_t cause;
    uint32_t ticket;
    uint32_t tid;
    const siginfo_t *information;
    const ucontext_t *context;
    uint64_t entered_ns;
};

/// Async-signal-safe. The caller holds the gate. On the capture stack: the thread's alternate one may hold no more than
/// a signal frame (faulthandler's).
static void capture_for(void *pointer) {
    const struct dump *dump = pointer;
    uint32_t kind = dump->cause == GRANITE_CAUSE_ASKED ? GRANITE_KIND_DUMP : GRANITE_KIND_HANG;
    granite_capture_begin(kind, dump->tid, dump->context, dump->entered_ns);
    struct granite_capture *capture = &granite_core.page->capture;
    capture->cause = dump->cause;
    capture->ticket = dump->ticket;
    capture->sender_pid = dump->information->si_pid;
    capture->sender_uid = dump->information->si_uid;
    granite_capture_run(dump->context, true);
    if (dump->cause == GRANITE_CAUSE_REQUEST_KILL_TIMEOUT) {
        // Here and not by whoever asked: it need not be told when all is read, and no thread runs again.
        granite_capture_publish(GRANITE_STAGE_FINISHED);
        syscall(SYS_kill, granite_core.pid, SIGKILL);
    }
    granite_park_release();
    granite_capture_publish(GRANITE_STAGE_FINISHED);
}

/// Async-signal-safe.
void granite_handle_dump(int signal, siginfo_t *information, void *context) {
    int saved_errno = errno;
    uint64_t entered_ns = granite_clock_ns(CLOCK_MONOTONIC);
    uint64_t word = (uint64_t)(uintptr_t)information->si_value.sival_ptr;
    uint32_t ticket = (uint32_t)(word >> 32) & 0xffff;
    if (!is_request(information, word)) {
        granite_park_pass_on(signal, information, context);
    } else if (granite_core.installed && getpid() == granite_core.pid) {
        // A child between vfork(2) and execve(2) shares our memory: its signals are its own.
        uint32_t me = granite_thread_id();
        uint32_t owner = 0;
        // Another capture holds the gate, maybe of this very thread: whoever asked sees no answer, and asks again.
        if (__atomic_compare_exchange_n(&granite_core.gate, &owner, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            // Older tickets come late, from threads that were blocked.
            if ((int16_t)(ticket - granite_core.dump_ticket) > 0) {
                granite_core.dump_ticket = ticket;
                struct dump dump = {.cause = (uint32_t)word,
                                    .ticket = ticket,
                                    .tid = me,
                                    .information = information,
                                    .context = context,
                                    .entered_ns = entered_ns};
                granite_run_on_capture_stack(capture_for, &dump);
            }
            __atomic_store_n(&granite_core.gate, 0, __ATOMIC_RELEASE);
        }
    }
    errno = saved_errno;
}
