// Stored reports that were damaged or made up: what can be read of them is shown, and nothing ends the program that shows them.

import Foundation
import GraniteReport
import TestSupport
import Testing

@testable import GraniteExport

@Suite(.timeLimit(.minutes(60))) struct ReportFuzzTests {
    @Test func anyReportIsShownOrRefused() throws {
        let sound = FullReport.make().encoded()
        let tree = try JSONSerialization.jsonObject(with: Data(sound))
        var random = Fuzzing.numbers(105)
        var shown = 0
        let rounds = Fuzzing.rounds(300)
        for round in 0..<rounds {
            var bytes = [UInt8](sound)
            switch round % 3 {
            case 0:
                let changed = (0...random.below(6)).reduce(tree) { tree, _ in Self.damaged(tree, &random) }
                guard JSONSerialization.isValidJSONObject(changed) else { continue }
                bytes = [UInt8](try JSONSerialization.data(withJSONObject: changed))
            case 1: for _ in 0...random.below(12) { bytes[random.below(bytes.count)] = random.byte() }
            default: bytes.removeLast(random.below(bytes.count))
            }
            guard let report = try? CrashReport.decode(bytes) else { continue }
            shown += 1
            Self.show(report, &random)
        }
        // Lenient: most of the reports of whose values only some are strange can be read.
        #expect(shown > rounds / 6, "\(shown) of \(rounds)")
    }

    private static func show(_ report: CrashReport, _ random: inout SplitMix) {
        var options = ReportText.Options()
        options.width = [0, 1, 40, 80, 500][random.below(5)]
        options.all = random.below(2) == 0
        options.threads = random.below(2) == 0
        options.registers = random.below(2) == 0
        options.locals = true
        let text = ReportText(report, options).rendered
        #expect(!text.isEmpty)
        let controls = text.unicodeScalars.filter {
            ($0.value < 0x20 && $0 != "\n") || (0x7F...0x9F).contains($0.value)
        }
        #expect(controls.isEmpty, "\(controls.map(\.value)) in \(text.debugDescription)")
        #expect(!ReportListText([.init(report: report, damage: nil)], width: options.width).rendered.isEmpty)
        #expect(report.summary(path: nil).id == report.id)
        #expect((try? CrashReport.decode(report.encoded())) != nil)
    }

    /// The tree with one value, somewhere, replaced by one that nobody expects there.
    private static func damaged(_ tree: Any, _ random: inout SplitMix) -> Any {
        if random.below(6) > 0, var object = tree as? [String: Any],
            let key = object.keys.sorted().randomElement(using: &random), let value = object[key]
        {
            object[key] = damaged(value, &random)
            return object
        }
        if random.below(6) > 0, var array = tree as? [Any], !array.isEmpty {
            let index = random.below(array.count)
            array[index] = damaged(array[index], &random)
            if random.below(8) == 0 { array += Array(repeating: array[index], count: random.below(200)) }
            return array
        }
        let strangers: [Any] = [
            NSNull(), -1, 0, Int.max, Int.min, UInt64.max, 1e308, -0.5, true, "", "0x", "0xffffffffffffffff",
            "0x10000000000000000", String(repeating: "0", count: 5000), "\u{0}\u{1B}[31m\u{202E}\u{7F}\u{9B}\r\n",
            [Any](), [[[Any]]](),
            [String: Any](), ["kind": "native"], "2026-99-99T99:99:99.999Z",
        ]
        return strangers[random.below(strangers.count)]
    }
}
