// Notes are made in the middle of requests: they may cost no system call.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct NoteTests {
    @Test func tenThousandRequestsAreNotedWithoutASystemCall() async throws {
        let run = try await ProbeRun.run("notes-without-system-calls", collector: nil)
        #expect(run.ending == .code(9))
    }

    /// The time of a breadcrumb is read from the vdso, which needs a clock that a process can read.
    @Test(.enabled(if: clockIsReadable, "reading this machine's clock is a system call"))
    func tenThousandBreadcrumbsAreNotedWithoutASystemCall() async throws {
        let run = try await ProbeRun.run("notes-without-system-calls", argument: "breadcrumbs", collector: nil)
        #expect(run.ending == .code(9))
        #expect(try run.page.breadcrumbs().last?.message == "no system call")
    }

    /// The filter of the tests above is real.
    @Test func oneSystemCallUnderTheSameFilterIsTheEnd() async throws {
        let run = try await ProbeRun.run("system-call-when-none-is-allowed", collector: nil)
        #expect(run.ending == .signal(SIGSYS))
    }

    private static var clockIsReadable: Bool {
        let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        let source = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return ["tsc", "kvm-clock", "arch_sys_counter"].contains { source.hasPrefix($0) }
    }
}
