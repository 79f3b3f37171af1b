// Stage C: the handler's own walk of the crashed thread, a second opinion beside the collector's. Instruction pointers
// only. libunwind may meet a broken stack: a fault in it comes back to the guard (see granite_handle_fatal).

#define _GNU_SOURCE
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "core.h"
#include "system.h"

struct granite_unwinder granite_unwinder;

/// Of processor time: a walk takes microseconds, cold a millisecond. The watchdog ends a single step that takes longer
/// than all may.
static const uint64_t walk_limit_ns = 40000000;
static const uint64_t step_limit_ns = 60000000;

/// Async-signal-safe after granite_walk_load warmed libunwind up, with its caches off and dl_iterate_phdr frozen:
/// unw_init_local2 and unw_step (https://www.nongnu.org/libunwind/man/unw_step(3).html) then only read memory, check
/// addresses by mincore(2) and write(2), and change the signal mask.
static void walk_guarded(const ucontext_t *context, bool signal_frame, struct granite_capture *capture) {
    unw_cursor_t cursor;
    int flags = signal_frame ? UNW_INIT_SIGNAL_FRAME : 0;
    if (granite_unwinder.initialize(&cursor, (void *)context, flags) != 0) return;
    uint64_t deadline_ns = granite_clock_ns(CLOCK_THREAD_CPUTIME_ID) + walk_limit_ns;
    uint64_t previous_pointer = 0;
    uint64_t previous_stack = 0;
    do {
        uint64_t pointer = 0;
        uint64_t stack = 0;
        if (granite_unwinder.get_register(&cursor, UNW_REG_IP, &pointer) < 0 || pointer == 0) return;
        if (granite_unwinder.get_register(&cursor, UNW_REG_SP, &stack) < 0) return;
        if (pointer == previous_pointer && stack == previous_stack) return;  // no progress: a loop in broken CFI
        previous_pointer = pointer;
        previous_stack = stack;
        capture->handler_frames[capture->handler_frame_count] = pointer;
        capture->handler_frame_count++;
        if (capture->handler_frame_count % 16 == 0 && granite_clock_ns(CLOCK_THREAD_CPUTIME_ID) > deadline_ns) {
            capture->flags |= GRANITE_CAPTURE_WALK_FAULTED;
            return;
        }
    } while (capture->handler_frame_count < GRANITE_MAX_HANDLER_FRAMES && granite_unwinder.step(&cursor) > 0);
}

/// Async-signal-safe: sigsetjmp saves registers and reads the mask by rt_sigprocmask(2).
void granite_walk(const ucontext_t *context, bool signal_frame) {
    struct granite_capture *capture = &granite_core.page->capture;
    if (!granite_unwinder.step) {
        capture->flags |= GRANITE_CAPTURE_NO_UNWINDER;
        return;
    }
    granite_modules_freeze(true);
    if (sigsetjmp(granite_core.guard, 1) == 0) {
        granite_core.guarded = true;
        granite_watchdog_begin(step_limit_ns);
        walk_guarded(context, signal_frame, capture);
    } else {
        capture->flags |= GRANITE_CAPTURE_WALK_FAULTED;
    }
    granite_core.guarded = false;
    granite_watchdog_end();
    granite_modules_freeze(false);
}

/// Async-signal-safe. Takes the gate, so that a fault comes back to the guard as in a capture.
uint32_t granite_capture_test_walk(const void *context, bool *faulted) {
    uint32_t free_gate = 0;
    sigset_t handler_mask;
    sigset_t own_mask;
    if (!granite_core.installed) return 0;
    granite_fill_handler_mask(&handler_mask);
    granite_change_mask(SIG_BLOCK, &handler_mask, &own_mask);
    uint32_t me = granite_thread_id();
    if (!__atomic_compare_exchange_n(&granite_core.gate, &free_gate, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        granite_change_mask(SIG_SETMASK, &own_mask, NULL);
        return 0;
    }
    struct granite_capture *capture = &granite_core.page->capture;
    capture->handler_frame_count = 0;
    capture->flags = 0;
    granite_walk(context, true);
    uint32_t count = capture->handler_frame_count;
    if (faulted) *faulted = capture->flags & GRANITE_CAPTURE_WALK_FAULTED;
    __atomic_store_n(&granite_core.gate, 0, __ATOMIC_RELEASE);
    granite_change_mask(SIG_SETMASK, &own_mask, NULL);
    return count;
}
