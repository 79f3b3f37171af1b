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
        "wild": { _ in granite_probe_wild() },
        "abort": { _ in granite_probe_abort() },
        "fpe": { _ in granite_probe_divide(0) },
        "bus": { _ in granite_probe_bus() },
        "trap": { _ in granite_probe_trap() },
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
        "measure-notes": { _ in RequestCases.measureNotes() },
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
