// Real crashes, through a real collector, to stored reports.

import Foundation
import GraniteReport
import Testing

@Suite(.timeLimit(.minutes(2))) struct CrashReportTests {
    @Test func nullReadIsReportedWithItsStackAndReason() async throws {
        let (report, summary) = try await FakeSupervisor.report(of: "null-read")
        print(report.reason ?? "", report.capture as Any, report.diagnosis as Any)
        for thread in report.threads ?? [] { print(thread.tid, thread.name ?? "", thread.state ?? "", thread.note ?? ""); for f in thread.frames ?? [] { print("  ", f.index ?? -1, f.trust?.rawValue ?? "", f.symbol ?? "?", f.file ?? "", f.line ?? 0, f.inApp ?? false, f.module ?? "") } }
        print(summary)
        #expect(summary.complete)
    }
}
