// Reports that somebody made to harm: they drive no terminal, exceed no column, and end no program.

import GraniteReport
import Testing

@testable import GraniteExport

struct HostileReportTests {
    private static let bell = "\u{1B}]0;owned\u{07}\r\n\u{9B}2J\u{202E}"

    /// Every text of the report is an attack.
    private static func poisoned() -> CrashReport {
        var report = Sample.nullPointer()
        report.id = bell
        report.schema = bell
        report.reason = bell + " " + String(repeating: "x", count: 500)
        report.time = bell
        report.request = Sample.request(
            "/" + bell + String(repeating: "a", count: 500), id: bell + String(repeating: "i", count: 500))
        report.request?.method = bell + String(repeating: "M", count: 500)
        report.requests = [Sample.request(bell, id: bell)]
        report.process?.pythonVersion = bell
        report.process?.argv = [bell]
        report.signal?.name = bell
        report.diagnosis?.category = bell
        report.diagnosis?.evidence = [bell]
        report.fingerprint?.hash = bell
        report.dropSite = DropSite()
        report.dropSite?.subject = bell
        report.dropSite?.message = bell
        report.dropSite?.created = bell
        report.threads?[0].name = bell
        report.threads?[0].note = bell
        report.threads?[0].registers = [ThreadReport.Register(name: bell, value: Address(.max), memory: bell)]
        for index in report.threads?[0].frames?.indices ?? 0..<0 {
            report.threads?[0].frames?[index].symbol = bell + String(repeating: "<(", count: 200)
            report.threads?[0].frames?[index].file = bell + String(repeating: "/d", count: 200)
            report.threads?[0].frames?[index].language = index == 0 ? bell : "C"
            report.threads?[0].frames?[index].inApp = true
            report.threads?[0].frames?[index].source = [
                Frame.SourceLine(line: .max, text: bell + String(repeating: "\t", count: 300))
            ]
            report.threads?[0].frames?[index].line = .max
        }
        report.threads?[1].state = bell
        report.modules?[1].path = bell
        report.breadcrumbs = [Breadcrumb()]
        report.breadcrumbs?[0].message = bell
        report.breadcrumbs?[0].time = bell
        report.logTail = [bell + String(repeating: "é", count: 500)]
        report.capture = CaptureInfo()
        report.capture?.errors = [bell]
        return report
    }

    @Test(arguments: [false, true], [40, 80, 200])
    func noTextDrivesTheTerminal(all: Bool, width: Int) {
        var options = ReportText.Options()
        options.all = all
        options.width = width
        options.registers = true
        let text = ReportText(Self.poisoned(), options).rendered
        let controls = text.unicodeScalars.filter {
            $0 != "\n" && (0x00...0x1F ~= $0.value || 0x7F...0x9F ~= $0.value || $0.value == 0x202E)
        }
        #expect(controls.isEmpty)
        #expect(text.contains("␛]0;owned␇␍␊"))
        let list = ReportListText([ReportListText.Row(report: Self.poisoned(), damage: Self.bell)], width: width)
            .rendered
        #expect(list.split(separator: "\n").count == 3)
        #expect(!list.unicodeScalars.contains("\u{1B}"))
    }

    @Test func noLineButTheFirstIsWiderThanTheTerminal() {
        var options = ReportText.Options()
        options.width = 80
        options.threads = true
        for line in ReportText(Self.poisoned(), options).rendered.split(separator: "\n").dropFirst()
        where !line.hasPrefix("Thread") {
            #expect(TerminalText.columns(String(line)) <= 80, "\(line)")
        }
    }

    @Test(arguments: [
        ThreadReport.FoldedCycle(start: .max, length: .max, repeats: .max),
        ThreadReport.FoldedCycle(start: -1, length: 1, repeats: 1),
        ThreadReport.FoldedCycle(start: 0, length: 0, repeats: 1),
        ThreadReport.FoldedCycle(start: 0, length: .min, repeats: .min),
        ThreadReport.FoldedCycle(start: 6, length: 2, repeats: 1),
    ])
    func aCycleThatIsNotThereIsNotShown(cycle: ThreadReport.FoldedCycle) {
        var report = Sample.overflow()
        report.threads?[0].folded = cycle
        #expect(!ReportText(report).rendered.contains("more turns"))
    }

    @Test(arguments: [Double.nan, .infinity, -1, .greatestFiniteMagnitude, -.infinity])
    func noNumberEndsTheProgram(number: Double) {
        var report = Sample.nullPointer()
        report.request?.ageMilliseconds = number
        report.worker?.uptimeSeconds = number
        report.worker?.respawnMilliseconds = number
        report.worker?.requestsServed = .max
        report.worker?.slot = .min
        report.process?.pid = .min
        report.process?.rssBytes = .max
        report.capture = CaptureInfo()
        report.capture?.suppressed = .max
        report.threads?[0].frames?[0].index = .min
        report.threads?[0].frames?[6].line = .min
        var options = ReportText.Options()
        options.occurrences = Occurrences(count: .max, ordinal: .min, firstTime: "")
        let text = ReportText(report, options).rendered
        #expect(text.contains("18,446,744,073,709,551,615 requests"))
        #expect(!text.contains("nan") && !text.contains("inf "))
    }

    /// Wrapping a word used to take the square of its length: two megabytes never ended.
    @Test(.timeLimit(.minutes(1)), arguments: ["x", "é", "\u{202E}", "e\u{301}", "x "])
    func aReasonOfMegabytesIsCut(unit: String) {
        var report = Sample.nullPointer()
        report.reason = String(repeating: unit, count: 2 << 20)
        report.diagnosis?.evidence = [report.reason ?? ""]
        report.dropSite = DropSite()
        report.dropSite?.message = report.reason.map { $0 + "y" }
        report.threads?[0].name = report.reason
        var options = ReportText.Options()
        options.all = true
        let text = ReportText(report, options).rendered
        #expect(text.utf8.count < 1 << 20)
        #expect(text.contains("…"))
    }

    @Test func aStackOfAHundredThousandFramesIsCutInTheMiddle() {
        var report = Sample.overflow()
        report.threads?[0].folded = nil
        report.threads?[0].frames = (0..<100_000).map { Sample.native("f\($0)", Sample.granite) }
        let lines = ReportText(report).rendered.split(separator: "\n")
        #expect(lines.count < 70)
        #expect(lines.contains("    … 99,952 frames more (--all)"))
    }
}
