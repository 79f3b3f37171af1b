// The policy on handlers of the program. One that mends faults (a virtual machine's null check, a garbage collector's
// barrier) goes on working, unreported. One that prints and raises the signal again (faulthandler, Sentry) does so, and
// the death that it asks for is captured as the fault that it was given. One that returns and mends nothing is found out.

#define _GNU_SOURCE
#include "chain.h"

#include <errno.h>
#include <string.h>

#include "actions.h"
#include "arch.h"
#include "core.h"
#include "frame_pointers.h"
#include "system.h"

enum {
    most_nested = 8,
    /// A fault that comes back with the same registers and stack this often was not mended. A handler that mends, in a
    /// loop that keeps its counter neither in registers nor in its frame, is all that this could mistake.
    most_futile = 256,
    stack_words_compared = 64,
    abort_words_searched = 96,
    noted_faults = 4,
};

uintptr_t granite_abort_start;
uintptr_t granite_abort_end;

static __thread const struct granite_chained *innermost __attribute__((tls_model("initial-exec")));

/// The last fault that the program's handler returned from.
struct last_fault {
    uint64_t fingerprint;
    uint32_t times;
};
static __thread struct last_fault last __attribute__((tls_model("initial-exec")));

/// Async-signal-safe. The stack pointer of interrupted code.
static uint64_t stack_pointer_of(const ucontext_t *context) {
    uint64_t registers[GRANITE_ARCH_REGISTERS];
    granite_arch_store_registers(context, registers);
    return registers[GRANITE_ARCH_STACK_POINTER];
}

/// Async-signal-safe. A handler may have left by siglongjmp(3): then the record is gone, and the interrupted code does
/// not run below it on the same stack.
static bool is_live(const struct granite_chained *chained, const ucontext_t *context) {
    enum { deepest = 1 << 20 };
    uint64_t stack_pointer = stack_pointer_of(context);
    uint64_t record = (uint64_t)(uintptr_t)chained;
    if (stack_pointer >= record || record - stack_pointer > deepest) return false;
    return stack_pointer_of(chained->context) == chained->stack_pointer;
}

/// Async-signal-safe. The records of this thread that are live, innermost first.
static const struct granite_chained *live_records(const ucontext_t *context) {
    while (innermost && !is_live(innermost, context)) innermost = innermost->outer;
    return innermost;
}

/// Async-signal-safe.
const struct granite_chained *granite_chain_raised(int signal, const siginfo_t *information,
                                                   const ucontext_t *context) {
    if (information->si_code > 0 || information->si_pid != granite_core.pid) return NULL;
    const struct granite_chained *found = NULL;
    for (const struct granite_chained *each = live_records(context); each; each = each->outer) {
        if (each->signal == signal) found = each;
    }
    return found;
}

/// Async-signal-safe. Whether the interrupted code is abort(3), which kills whatever a handler does: its return address
/// lies in the frame of raise(3), which is small.
static bool is_in_abort(int signal, const siginfo_t *information, const ucontext_t *context) {
    if (signal != SIGABRT || information->si_code != SI_TKILL || information->si_pid != granite_core.pid) return false;
    const uint64_t *words = (const uint64_t *)(uintptr_t)(stack_pointer_of(context) & ~(uint64_t)7);
    for (int i = 0; i < abort_words_searched; i++) {
        if (words[i] > granite_abort_start && words[i] < granite_abort_end) return true;
        if (((uintptr_t)&words[i + 1] & 4095) == 0 && i + 1 < abort_words_searched && i >= 32) break;
    }
    return false;
}

/// Async-signal-safe. FNV-1a over what would differ if the program had made progress.
static uint64_t fingerprint_of(const siginfo_t *information, const ucontext_t *context) {
    uint64_t registers[GRANITE_ARCH_REGISTERS];
    granite_arch_store_registers(context, registers);
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)(uintptr_t)information->si_addr;
    for (int i = 0; i < GRANITE_ARCH_REGISTERS; i++) hash = (hash ^ registers[i]) * 0x100000001b3u;
    // Not past the page: the stack may end there. A wild stack pointer is not read at all.
    uint64_t stack_pointer = registers[GRANITE_ARCH_STACK_POINTER];
    if (!granite_stack_is_own(stack_pointer)) return hash;
    const uint64_t *words = (const uint64_t *)(uintptr_t)(stack_pointer & ~(uint64_t)7);
    for (int i = 0; i < stack_words_compared; i++) {
        hash = (hash ^ words[i]) * 0x100000001b3u;
        if (((uintptr_t)&words[i + 1] & 4095) == 0) break;
    }
    return hash;
}

/// Async-signal-safe. Whether the handler is asked about the very same fault again and again.
static bool is_futile(const siginfo_t *information, const ucontext_t *context) {
    if (information->si_code <= 0) return false;
    uint64_t fingerprint = fingerprint_of(information, context);
    if (last.fingerprint != fingerprint) last = (struct last_fault){.fingerprint = fingerprint};
    return ++last.times > most_futile;
}

/// Async-signal-safe: plain stores. The first faults that a handler takes are noted: if it ends the process by _exit(2),
/// this is all that is known.
static void note(int signal, const ucontext_t *context) {
    static uint32_t noted;
    if (__atomic_fetch_add(&noted, 1, __ATOMIC_RELAXED) >= noted_faults) {
        __atomic_store_n(&noted, noted_faults, __ATOMIC_RELAXED);
        return;
    }
    static const char text[] = "signal 00 at 0x0000000000000000, given to the program's handler";
    char message[sizeof text];
    memcpy(message, text, sizeof text);
    message[7] = (char)('0' + signal / 10);
    message[8] = (char)('0' + signal % 10);
    uint64_t registers[GRANITE_ARCH_REGISTERS];
    granite_arch_store_registers(context, registers);
    for (int i = 0; i < 16; i++)
        message[15 + i] = "0123456789abcdef"[registers[GRANITE_ARCH_PROGRAM_COUNTER] >> (60 - 4 * i) & 15];
    uint32_t number = granite_capture_next_breadcrumb();
    struct granite_breadcrumb *crumb = &granite_core.page->breadcrumbs[number % GRANITE_MAX_BREADCRUMBS];
    crumb->sequence = number * 2 + 1;  // odd while it is written, as Capture.breadcrumb does
    __atomic_thread_fence(__ATOMIC_RELEASE);
    crumb->tid = granite_thread_id();
    crumb->time_ns = granite_clock_ns(CLOCK_REALTIME);
    memcpy(crumb->category, "signal", sizeof "signal");
    memcpy(crumb->message, message, sizeof message);
    __atomic_store_n(&crumb->sequence, number * 2 + 2, __ATOMIC_RELEASE);
}

/// Calls the program's handler as the kernel would: with its mask, but for the signals of faults, which stay open.
static void call(const struct sigaction *action, int signal, siginfo_t *information, ucontext_t *context) {
    sigset_t ours;
    sigset_t theirs = context->uc_sigmask;
    for (int other = 1; other < NSIG; other++) {
        if (sigismember(&action->sa_mask, other) == 1) sigaddset(&theirs, other);
    }
    if (!(action->sa_flags & SA_NODEFER)) sigaddset(&theirs, signal);
    granite_action_open(&theirs);
    granite_change_mask(SIG_SETMASK, &theirs, &ours);
    if (action->sa_flags & SA_SIGINFO) {
        action->sa_sigaction(signal, information, context);
    } else {
        action->sa_handler(signal);
    }
    granite_change_mask(SIG_SETMASK, &ours, NULL);
}

/// Async-signal-safe but for what the program's handler does.
bool granite_chain_run(int signal, siginfo_t *information, ucontext_t *context) {
    struct sigaction action;
    if (!granite_action_recall(signal, &action)) return false;
    bool has_handler = (action.sa_flags & SA_SIGINFO) || (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
    // The kernel kills by a fault that is ignored, abort(3) by its own.
    if (!has_handler)
        return action.sa_handler == SIG_IGN && information->si_code <= 0 && !is_in_abort(signal, information, context);
    uint32_t depth = 0;
    for (const struct granite_chained *each = live_records(context); each; each = each->outer) {
        depth++;
        if (each->signal == signal && each->defers && information->si_code > 0) return false;  // the handler's own fault
    }
    if (depth >= most_nested || is_futile(information, context)) return false;
    note(signal, context);
    if (action.sa_flags & (int)SA_RESETHAND) {
        struct sigaction once = action;
        once.sa_flags &= ~((int)SA_RESETHAND | SA_SIGINFO);
        once.sa_handler = SIG_DFL;
        granite_action_remember(signal, &once);
    }
    struct granite_chained chained = {.outer = innermost,
                                      .signal = signal,
                                      .context = context,
                                      .information = information,
                                      .defers = !(action.sa_flags & SA_NODEFER),
                                      .stack_pointer = stack_pointer_of(context)};
    innermost = &chained;
    call(&action, signal, information, context);
    innermost = chained.outer;
    return !is_in_abort(signal, information, context);
}
