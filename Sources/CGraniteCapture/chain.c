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

/// Of the calling thread, outermost first.
static __thread struct granite_chained records[most_nested] __attribute__((tls_model("initial-exec")));
static __thread uint32_t record_count __attribute__((tls_model("initial-exec")));

/// The last fault that the program's handler was asked about.
struct last_fault {
    uint64_t fingerprint;
    uint32_t times;
    bool returned;  ///< to the same instruction and registers: it did not leave by siglongjmp(3) or go elsewhere
};
static __thread struct last_fault last __attribute__((tls_model("initial-exec")));

/// Async-signal-safe. The stack pointer of interrupted code.
static uint64_t stack_pointer_of(const ucontext_t *context) {
    uint64_t registers[GRANITE_ARCH_REGISTERS];
    granite_arch_store_registers(context, registers);
    return registers[GRANITE_ARCH_STACK_POINTER];
}

/// Async-signal-safe. Whether the address lies on the alternate stack that the thread had when the signal came
/// (sigreturn(2), uc_stack).
static bool is_on_alternate_stack(uint64_t address, const ucontext_t *context) {
    return address - (uint64_t)(uintptr_t)context->uc_stack.ss_sp < context->uc_stack.ss_size;
}

/// Async-signal-safe. A handler may have left by siglongjmp(3): then its frame is gone, and the interrupted code does
/// not run below it on the same stack. A thread's own stack often lies right below its alternate one: near is not
/// enough.
static bool is_live(const struct granite_chained *chained, const ucontext_t *context) {
    enum { deepest = 1 << 20, largest_signal_frame = 64 << 10 };
    uint64_t stack_pointer = stack_pointer_of(context);
    if (stack_pointer >= chained->frame || chained->frame - stack_pointer > deepest) return false;
    if (is_on_alternate_stack(chained->frame, context) != is_on_alternate_stack(stack_pointer, context)) return false;
    // The kernel put the context above our frame; it is overwritten if the handler left and others ran there.
    if ((uint64_t)(uintptr_t)chained->context - chained->frame > largest_signal_frame) return false;
    return stack_pointer_of(chained->context) == chained->stack_pointer;
}

/// Async-signal-safe. How many records of this thread are live. What lies below a live frame is live, too.
static uint32_t count_live_records(const ucontext_t *context) {
    while (record_count > 0 && !is_live(&records[record_count - 1], context)) record_count--;
    return record_count;
}

/// Async-signal-safe. Whether a handler has overflowed the alternate stack: the kernel then begins it anew, over that
/// handler's own frames, and asking again would never end. Ours has a guard page below.
static bool has_overflowed(const siginfo_t *information, const ucontext_t *context) {
    enum { guard_bytes = 4096 };
    if (information->si_code <= 0) return false;
    uint64_t last_of_guard = (uint64_t)(uintptr_t)context->uc_stack.ss_sp - 1;
    if (last_of_guard - (uint64_t)(uintptr_t)information->si_addr >= guard_bytes &&
        last_of_guard - stack_pointer_of(context) >= guard_bytes)
        return false;
    for (uint32_t i = 0; i < record_count; i++) {
        if (is_on_alternate_stack(records[i].frame, context)) return true;
    }
    return false;
}

/// Async-signal-safe.
const struct granite_chained *granite_chain_raised(int signal, const siginfo_t *information,
                                                   const ucontext_t *context) {
    if (information->si_code > 0 || information->si_pid != granite_core.pid) return NULL;
    uint32_t count = count_live_records(context);
    for (uint32_t i = 0; i < count; i++) {
        if (records[i].signal == signal) return &records[i];
    }
    return NULL;
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
    // Not past the page: the stack may end there. A wild stack pointer is not read at all, nor a stack that is the
    // fault itself: it has overflowed, and the pointer is in the guard page or at its edge.
    enum { largest_probe = 64 << 10, words_bytes = stack_words_compared * sizeof(uint64_t) };
    uint64_t stack_pointer = registers[GRANITE_ARCH_STACK_POINTER];
    uint64_t distance = (uint64_t)(uintptr_t)information->si_addr - (stack_pointer - largest_probe);
    if (!granite_stack_is_own(stack_pointer) || distance <= largest_probe + words_bytes) return hash;
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
    if (!last.returned || last.fingerprint != fingerprint) last = (struct last_fault){.fingerprint = fingerprint};
    last.returned = false;
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
    if (has_overflowed(information, context)) return false;
    uint32_t depth = count_live_records(context);
    for (uint32_t i = 0; i < depth; i++) {
        // The handler's own fault.
        if (records[i].signal == signal && records[i].defers && information->si_code > 0) return false;
    }
    if (depth >= most_nested || is_futile(information, context)) return false;
    note(signal, context);
    if (action.sa_flags & (int)SA_RESETHAND) {
        struct sigaction once = action;
        once.sa_flags &= ~((int)SA_RESETHAND | SA_SIGINFO);
        once.sa_handler = SIG_DFL;
        granite_action_remember(signal, &once);
    }
    records[depth] = (struct granite_chained){.frame = (uint64_t)(uintptr_t)__builtin_frame_address(0),
                                              .signal = signal,
                                              .context = context,
                                              .information = information,
                                              .defers = !(action.sa_flags & SA_NODEFER),
                                              .stack_pointer = stack_pointer_of(context)};
    record_count = depth + 1;
    uint64_t before[GRANITE_ARCH_REGISTERS];
    uint64_t after[GRANITE_ARCH_REGISTERS];
    granite_arch_store_registers(context, before);
    call(&action, signal, information, context);
    granite_arch_store_registers(context, after);
    last.returned = memcmp(before, after, sizeof before) == 0;
    record_count = depth;
    return !is_in_abort(signal, information, context);
}
