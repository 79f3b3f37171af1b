// Defines the probe's ends by name.

import CCrashProbe
import Glibc
import GraniteCapture

/// Every way in which the probe can end. The value is the exit status, for those that end by themselves.
enum Cases {
    static let all: [String: @Sendable (Arguments) -> Int32] = [
        "null-read": { _ in granite_probe_null_read() },
        "null-write": { _ in granite_probe_null_write() },
        "null-call": { _ in granite_probe_null_call() },
        "null-field": { _ in granite_probe_null_field() },
        "null-copy": { _ in granite_probe_null_copy() },
        "null-virtual": { _ in granite_probe_null_virtual() },
        "unmapped": { _ in granite_probe_unmapped() },
        "use-after-unmap": { _ in granite_probe_use_after_unmap() },
        "past-end": { _ in granite_probe_past_end() },
        "poisoned": { _ in granite_probe_poisoned() },
        "text-as-pointer": { _ in granite_probe_text_as_pointer() },
        "wild": { _ in granite_probe_wild() },
        "wild-write": { _ in granite_probe_wild_write() },
        "wild-call": { _ in granite_probe_wild_call() },
        "execute-data": { _ in granite_probe_execute_data() },
        "write-constant": { _ in granite_probe_write_constant() },
        "misaligned-vector": { _ in granite_probe_misaligned_vector() },
        "return-to-garbage": { _ in granite_probe_return_to_garbage() },
        "return-to-text": { _ in granite_probe_return_to_text() },
        "abort": { _ in granite_probe_abort() },
        "assert": { _ in granite_probe_assert(0) },
        "raise-abort": { _ in granite_probe_raise_abort() },
        "kill-abort": { _ in granite_probe_kill_abort() },
        "error": { _ in granite_probe_error() },
        "fpe-smallest": { _ in granite_probe_divide_smallest(-1) },
        "undefined": { _ in granite_probe_undefined() },
        "forbidden-call": { _ in granite_probe_forbidden_call() },
        "fpe": { _ in granite_probe_divide(0) },
        "bus": { _ in granite_probe_bus() },
        "bus-file": { _ in granite_probe_cut_file() },
        "trap": { _ in granite_probe_trap() },
        "tcache-double-free": { _ in granite_probe_tcache_double_free() },
        "free-inside": { _ in granite_probe_free_inside() },
        "free-stack": { _ in granite_probe_free_stack() },
        "overrun": { _ in granite_probe_overrun() },
        "overrun-top": { _ in granite_probe_overrun_top() },
        "double-free": { _ in granite_probe_double_free() },
        "exit-7": { _ in 7 },
        "kill-self": { _ in raise(SIGKILL) },
        "kill-segv-from-child": { _ in granite_probe_killed_by_child() },
        "fork-crash": { _ in granite_probe_crash_in_fork() == SIGSEGV ? 0 : 1 },
        "fork-crash-handled": { _ in granite_probe_crash_in_fork_with_handler() == 9 << 8 ? 0 : 1 },
        "fork-breadcrumb": { _ in granite_probe_in_fork { Capture.breadcrumb("probe", "of the child") } },
        "stack-overflow-main": { _ in granite_probe_overflow(0) },
        "stack-overflow-pthread": { _ in granite_probe_on_thread(256 << 10) { granite_probe_overflow(0) } },
        "stack-overflow-dispatch": { _ in DispatchCases.overflow() },
        "stack-overflow-mutual": { _ in granite_probe_ping(0) },
        "stack-overflow-python": { granite_probe_call_in($0.argument) },
        "swift-cast": { _ in TrapCases.castForcibly("text") },
        "swift-cast-class": { _ in TrapCases.castAnimal(TrapCases.Animal()) },
        "swift-exclusivity": { _ in TrapCases.accessTwice() },
        "swift-precondition": { _ in TrapCases.checkPrecondition(-3) },
        "swift-try": { _ in TrapCases.tryForcibly() },
        "swift-duplicate-key": { _ in TrapCases.repeatKey() },
        "swift-unowned": { _ in TrapCases.useUnowned() },
        "swift-main-actor": { _ in TrapCases.assumeMainActor() },
        "swift-queue": { _ in TrapCases.checkQueue() },
        "swift-divide": { _ in TrapCases.divide(7) },
        "swift-narrow": { _ in TrapCases.narrow(300) },
        "swift-remove-last": { _ in TrapCases.removeFromEmpty() },
        "through-library": { granite_probe_through($0.argument) },
        "through-replaced-library": { granite_probe_through_replaced($0.argument) },
        "through-memfd": { granite_probe_through_memfd($0.argument) },
        "through-generated-code": { _ in granite_probe_through_generated() },
        "in-signal-handler": { _ in granite_probe_in_handler(0) },
        "in-signal-handler-alternate": { _ in granite_probe_in_handler(1) },
        "smashed-return-address": { _ in granite_probe_smashed() },
        "return-wild": { _ in granite_probe_return_wild() },
        "call-wild": { _ in granite_probe_call_wild() },
        "in-coroutine": { _ in granite_probe_in_coroutine() },
        "odd-frames": { _ in granite_probe_odd_frames() },
        "async": { _ in AsyncCases.crashInTask() },
        "async-group": { _ in AsyncCases.crashInGroup() },
        "async-actor": { _ in AsyncCases.crashInActor() },
        "async-main-actor": { _ in AsyncCases.crashOnMainActor() },
        "swift-bounds": { _ in SwiftCases.readPastEnd([1, 2, 3]) },
        "swift-overflow": { _ in SwiftCases.addOverflowing(Int32.max) },
        "swift-nil": { _ in SwiftCases.unwrapNil(nil) },
        "fatal-error": { _ in SwiftCases.failFatally() },
        "crash-in-dl_iterate_phdr": { _ in granite_probe_hold_dl_iterate_phdr() &+ granite_probe_null_read() },
        "two-threads-at-once": { _ in granite_probe_two_at_once() },
        "deaf-thread": { _ in granite_probe_deaf_thread(0) &+ granite_probe_null_read() },
        "half-deaf-thread": { _ in granite_probe_deaf_thread(SIGPROF) &+ granite_probe_null_read() },
        "no-descriptors": { _ in
            granite_probe_sleepers(3) &+ granite_probe_use_all_descriptors() &+ granite_probe_null_read()
        },
        "second-fault": { _ in SwiftCases.breakPageThenCrash(granite_probe_null_read) },
        "second-fault-abort": { _ in SwiftCases.breakPageThenCrash(granite_probe_abort) },
        "dispatch-threads": { _ in DispatchCases.crashBesidePools() },
        "thread-bound-drop": { _ in ThreadBoundCases.dropElsewhere() },
        "thread-bound-use": { _ in ThreadBoundCases.useElsewhere() },
        "fault-during-drop": { _ in ThreadBoundCases.faultDuringDrop() },
        "drop-after-profiler": { _ in ThreadBoundCases.dropAfterProfiler() },
        "drop-beside-profiler": { _ in ThreadBoundCases.dropBesideProfiler() },
        "thread-bound-on-coroutine": { _ in ThreadBoundCases.createOnCoroutine() },
        "drop-storm": { _ in ThreadBoundCases.storm() },
        "requests": { _ in RequestCases.crashWhileServing() },
        "cpp-uncaught": { granite_probe_call_in($0.argument) },
        "cpp-uncaught-number": { granite_probe_call_in($0.argument) },
        "cpp-noexcept": { granite_probe_call_in($0.argument) },
        "cpp-pure-virtual": { granite_probe_call_in($0.argument) },
        "rust-panic": { granite_probe_call_in($0.argument) },
        "rust-panic-abort": { granite_probe_call_in($0.argument) },
        "smash-detected": { granite_probe_call_in($0.argument) },
        "overflow-detected": { granite_probe_call_in($0.argument) },
        "measure-notes": { NoteCases.measure(rounds: UInt64($0.argument) ?? 1_000_000) },
        "notes-without-system-calls": { NoteCases.noteWithoutSystemCalls($0.argument) },
        "system-call-when-none-is-allowed": { _ in NoteCases.callSystemWhenForbidden() },
        "cpp-throw": { granite_probe_throw_in($0.argument) },
        "raise-binding": { granite_probe_raise_binds_to_libgcc($0.argument) == 1 ? 0 : 1 },
    ]

    /// A case by its name; `threads-N` starts N sleeping threads and then reads address 0, `threads-N-unqueued` where
    /// the kernel refuses to queue signals.
    static func find(_ name: String) -> (@Sendable (Arguments) -> Int32)? {
        if let end = all[name] ?? HostileCases.all[name] { return end }
        let words = name.split(separator: "-")
        guard words.count >= 2, words[0] == "threads", let count = Int32(words[1]) else { return nil }
        let queueNothing = words.count == 3 && words[2] == "unqueued"
        return { _ in
            if queueNothing { granite_probe_forbid_queued_signals() }
            return granite_probe_sleepers(count) &+ granite_probe_null_read()
        }
    }
}
