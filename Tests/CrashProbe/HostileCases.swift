// Ends in processes whose state is against the capture, and beside handlers of the program's own.

import CCrashProbe
import CGraniteCapture
import Glibc

enum HostileCases {
    static let all: [String: @Sendable (Arguments) -> Int32] = [
        "malloc-locked": { _ in granite_hostile_fault_in_malloc() },
        "malloc-contended": { _ in granite_hostile_fault_in_contended_malloc() },
        "malloc-abort": { _ in granite_hostile_abort_in_malloc() },
        "dlopen-crash": { granite_hostile_dlopen($0.argument) },
        "handler-crash": { _ in granite_hostile_fault_in_handler(0) },
        "handler-crash-altstack": { _ in granite_hostile_fault_in_handler(SA_ONSTACK) },
        "handler-abort": { _ in granite_hostile_abort_in_masked_handler() },
        "crash-after-fork": { _ in granite_hostile_crash_after_fork() },
        "crash-at-exit": { _ in granite_hostile_crash_at_exit() },
        "sixteen-at-once": { _ in granite_hostile_many_at_once(16) },
        "all-blocked": { _ in granite_hostile_fault_with_all_blocked() },
        "all-blocked-raw": { _ in granite_hostile_fault_with_all_blocked_raw() },
        "closed-descriptors": { _ in granite_hostile_fault_without_descriptors() },
        "other-descriptors": { granite_hostile_fault_with_other_descriptors($0.argument) },
        "address-limit": { _ in granite_hostile_fault_at_address_limit() },
        "file-limit": { _ in granite_hostile_fault_at_file_limit() },
        "coroutine": { _ in granite_hostile_fault_on_coroutine() },
        "coroutine-overflow": { _ in granite_hostile_overflow_on_coroutine() },
        "wild-stack-pointer": { _ in granite_hostile_wild_stack_pointer() },
        "altstack-off-overflow": { _ in granite_hostile_overflow_without_alternate_stack() },
        "altstack-small-overflow": { _ in granite_hostile_overflow_with_small_alternate_stack() },
        "altstack-small-dump": { _ in
            let asked = UInt64(GRANITE_DUMP_MAGIC) << 48 | 1 << 32 | UInt64(GRANITE_CAUSE_ASKED.rawValue)
            return granite_hostile_dump_with_small_alternate_stack(asked)
        },
        "clone": { _ in granite_hostile_fault_in_clone() },
        "allocation-as-in-capture": { _ in granite_hostile_allocate_as_in_capture() },
        "own-handler-recovers": { _ in granite_hostile_handler_recovers() },
        "own-handler-recovers-thread": { _ in granite_hostile_thread_recovers(0) },
        "own-handler-recovers-thread-nodefer": { _ in granite_hostile_thread_recovers(Int32(SA_NODEFER)) },
        "own-handler-recovered-once": { _ in granite_hostile_fault_after_recovery() },
        "own-handler-mends": { _ in granite_hostile_handler_mends() },
        "own-handler-skips": { _ in granite_hostile_handler_skips() },
        "own-handler-returns": { _ in granite_hostile_handler_returns() },
        "own-handler-restores": { _ in granite_hostile_handler_restores() },
        "own-handler-raises": { _ in granite_hostile_handler_raises() },
        "own-handler-faulthandler": { _ in granite_hostile_handler_raises_previous() },
        "own-handler-overflow-main": { _ in granite_hostile_overflow_with_handler(0) },
        "own-handler-overflow-pthread": { _ in granite_hostile_overflow_with_handler(1) },
        "own-handler-sentry": { _ in granite_hostile_handler_of_sentry() },
        "own-handler-aborts": { _ in granite_hostile_handler_aborts() },
        "own-handler-exits": { _ in granite_hostile_handler_exits() },
        "own-handler-faults": { _ in granite_hostile_handler_faults() },
        "own-handler-overflows": { _ in granite_hostile_handler_overflows() },
        "own-handler-once": { _ in granite_hostile_handler_once() },
        "own-handler-raw": { _ in granite_hostile_handler_raw() },
        "own-handler-abort-returns": { _ in granite_hostile_abort_handler_returns() },
        "own-handler-abort-ignored": { _ in granite_hostile_abort_ignored() },
        "own-handler-raise": { _ in granite_hostile_raise_is_harmless() },
        "own-handler-asked": { _ in granite_hostile_actions_are_true() },
        "own-handler-kept": { _ in granite_hostile_signals_are_kept() },
        "own-handler-masked": { _ in granite_hostile_handler_masks_are_open() },
        "errno-kept": { _ in
            granite_hostile_errno_is_kept { _ = granite_capture_now(5, "errno", "a live capture", 0, nil, 0, nil, 0) }
        },
        "walk-hangs": { _ in granite_hostile_fault_with_hanging_unwinder() },
        "random-walks": { walkAtRandom($0.argument) },
        "python": { granite_hostile_python($0.argument) },
    ]
    /// `argument`: how many contexts, and the seed, e.g. `100000,7`. Exit status 0: every walk came back.
    private static func walkAtRandom(_ argument: String) -> Int32 {
        let numbers = argument.split(separator: ",").compactMap { UInt64($0) }
        guard numbers.count == 2 else { return 64 }
        return granite_hostile_walk_random(numbers[1], UInt32(clamping: numbers[0])) { context in
            granite_capture_test_walk(context, nil)
        }
    }
}
