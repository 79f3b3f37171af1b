// What the notes in the crash page cost, and the proof that they ask nothing of the kernel.

import CCrashProbe
import Glibc
import GraniteCapture

enum NoteCases {
    /// How often each loop is measured; the best is what the code costs, the others are what the machine did meanwhile.
    private static let turns = 15

    /// Prints nanoseconds of each note, `name best median` a line.
    static func measure(rounds: UInt64) -> Int32 {
        report("request", rounds) { noteRequests(rounds) }
        report("breadcrumb", rounds) {
            for _ in 0..<rounds { Capture.breadcrumb("probe", "a breadcrumb of thirty bytes..") }
        }
        report("thread_bound", rounds) {
            for number in 0..<rounds { _ = ThreadBound(number, label: "measured") }
        }
        return 0
    }

    /// Any system call ends the probe by SIGSYS. `argument`: `breadcrumbs` notes those, too.
    static func noteWithoutSystemCalls(_ argument: String) -> Int32 {
        // The thread's first note asks for its id.
        noteRequests(1)
        granite_probe_forbid_system_calls()
        noteRequests(10_000)
        if argument == "breadcrumbs" {
            for _ in 0..<10_000 { Capture.breadcrumb("probe", "no system call") }
        }
        granite_probe_end_thread(9)
    }

    /// What the case above would come to with a single call: the proof that it proves something.
    static func callSystemWhenForbidden() -> Int32 {
        granite_probe_forbid_system_calls()
        _ = getppid()
        granite_probe_end_thread(9)
    }

    /// What a worker does before and after each call of the application.
    @inline(never)
    private static func noteRequests(_ rounds: UInt64) {
        let method = Array("GET".utf8)
        let target = Array("/hello?name=granite".utf8)
        method.withUnsafeBytes { method in
            target.withUnsafeBytes { target in
                for number in 0..<rounds {
                    Capture.beginRequest(
                        slot: 1, tid: Capture.threadID, id: number, method: method, target: target,
                        startedNanoseconds: number)
                    Capture.endRequest(slot: 1)
                }
            }
        }
    }

    private static func report(_ name: String, _ rounds: UInt64, _ body: () -> Void) {
        var times = (0..<turns).map { _ in
            let start = monotonicNanoseconds()
            body()
            return Double(monotonicNanoseconds() - start) / Double(rounds)
        }
        times.sort()
        print(name, times[0], times[turns / 2])
    }

    private static func monotonicNanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }
}
