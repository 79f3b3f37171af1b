// How a death without a stack reads: memory with its curve, and what was answered before.

import GraniteReport
import Testing

@testable import GraniteExport

struct MemoryTextTests {
    private func starved() -> CrashReport {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.kind = .oomKill
        report.reason = "The kernel killed the worker because its cgroup was at its memory limit of 2 GiB."
        report.worker = WorkerInfo()
        report.worker?.slot = 2
        report.process = ProcessInfo()
        report.process?.resources = ResourceUsage(maxRSSBytes: 1_980 << 20)
        var memory = MemoryInfo()
        memory.cgroup = CgroupMemory()
        memory.cgroup?.limitBytes = 2 << 30
        memory.trend = (0...8).map { step in
            MemorySample(ageSeconds: 241 - 30 * Double(step), rssBytes: UInt64(212 + 217 * step) << 20)
        }
        report.process?.memory = memory
        report.recentRequests = [("/", 200, 1.2, 4), ("/report?year=2025", 500, 90, 0.25)].map {
            var request = EndedRequest()
            (request.method, request.target) = ("GET", $0.0)
            (request.status, request.durationMilliseconds, request.agoSeconds) = ($0.1, $0.2, $0.3)
            return request
        }
        return report
    }

    @Test func memoryIsALineWithItsCurveAndTheLastAnswersStandAboveIt() {
        #expect(
            ReportText(starved()).rendered == """
                *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2 was OOM-killed
                    The kernel killed the worker because its cgroup was at its memory limit of 2
                    GiB.

                No stack: the kernel kills without letting the process run again.

                Before     GET /report?year=2025 500 in 90 ms, 250 ms earlier
                           GET / 200 in 1.2 ms, 4 s earlier
                Memory     212 MiB → 1.9 GiB in 4 min 1 s, limit 2 GiB ▁▂▃▄▅▆▇▇██

                """)
    }

    @Test func withAStackOnlyMemoryThatGrewIsTold() {
        var report = starved()
        report.kind = .signal
        var thread = ThreadReport(tid: 1)
        thread.crashed = true
        report.threads = [thread]
        #expect(ReportText(report).rendered.contains("Memory     212 MiB → 1.9 GiB"))
        #expect(!ReportText(report).rendered.contains("Before"))
        report.process?.memory?.trend = [MemorySample(ageSeconds: 1, rssBytes: 212 << 20)]
        report.process?.resources = nil
        #expect(!ReportText(report).rendered.contains("Memory"))
    }

    @Test(arguments: [
        [], [MemorySample(ageSeconds: .nan, rssBytes: 1)],
        [MemorySample](repeating: MemorySample(ageSeconds: .infinity, rssBytes: .max), count: 9),
        [MemorySample](repeating: MemorySample(ageSeconds: 0, rssBytes: 0), count: 9),
        (0..<2000).map { MemorySample(ageSeconds: -Double($0) * 1e300, rssBytes: .max) },
        (0..<9).map { MemorySample(ageSeconds: Double($0) * 1e307, rssBytes: .max - UInt64($0)) },
    ])
    func aHostileTrendEndsNothing(trend: [MemorySample]) {
        var report = starved()
        report.process?.memory?.trend = trend
        report.process?.memory?.cgroup?.limitBytes = .max
        #expect(!ReportText(report).rendered.isEmpty)
        #expect(Sparkline.text(trend, last: .max, seconds: nil).count <= Sparkline.columns)
        #expect(report.summary(path: nil).memory != nil)
    }
}
