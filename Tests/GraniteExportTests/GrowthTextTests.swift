// The text of a report about memory that grows.

import GraniteReport
import Testing

@testable import GraniteExport

struct GrowthTextTests {
    private func text(_ types: [GrowthInfo.Growth]) -> String {
        var report = CrashReport(id: "01GROWTH")
        report.kind = .growth
        report.reason = "Memory grew."
        report.growth = GrowthInfo()
        report.growth?.types = types
        var thread = ThreadReport(tid: 7)
        thread.crashed = true
        thread.name = "growth-watch"
        report.threads = [thread]
        return ReportText(report).rendered
    }

    @Test func typesThatGrewAreListedAndTheCountingThreadIsNot() {
        let text = text([
            .init(type: "frame", before: 10, now: 144_651), .init(type: "app.Boom", before: 0, now: 36_161),
        ])
        #expect(
            text.contains(
                """
                Growth     144,641 frame (10 → 144,651)
                           36,161 app.Boom (0 → 36,161)

                """), "\(text)")
        #expect(!text.contains("growth-watch"))
    }

    @Test func manyTypesAreCut() {
        let text = text((1...11).map { .init(type: "app.T\($0)", before: 0, now: 100 - $0) })
        #expect(text.contains("app.T8 ") && !text.contains("app.T9 "))
        #expect(text.contains("and 3 types more (--all)"), "\(text)")
    }

    @Test func numbersThatMakeNoSenseAreZero() {
        #expect(text([.init(type: "x", before: .min, now: .max)]).contains("Growth     0 x"))
    }
}
