// Prints one line a case, and the sums.

import Foundation

/// What is printed. A line is printed as soon as its case is done.
struct Table {
    let json: Bool
    private var rows: [Row] = []
    private var skipped: [String: String] = [:]
    private(set) var isClean = true

    struct Row: Encodable {
        var name: String
        var runs = 0
        var correct = 0
        var trueStatus = 0
        var once = 0
        var captureMilliseconds = Quantiles()
        var deadMilliseconds = Quantiles()
        var storedMilliseconds = Quantiles()
        /// How often what was wrong.
        var faults: [String: Int] = [:]

        enum CodingKeys: String, CodingKey {
            case name = "case"
            case runs, correct, once, faults
            case trueStatus = "true_status"
            case captureMilliseconds = "capture_ms"
            case deadMilliseconds = "dead_ms"
            case storedMilliseconds = "stored_ms"
        }
    }

    struct Quantiles: Encodable {
        var p50: Double?
        var p99: Double?
        var max: Double?

        init() {}

        init(_ nanoseconds: [UInt64]) {
            guard !nanoseconds.isEmpty else { return }
            let sorted = nanoseconds.sorted()
            func at(_ share: Double) -> Double {
                Double(sorted[Swift.min(sorted.count - 1, Int((share * Double(sorted.count)).rounded(.up)) - 1)]) / 1e6
            }
            p50 = at(0.5)
            p99 = at(0.99)
            max = Double(sorted[sorted.count - 1]) / 1e6
        }

        var text: String {
            [p50, p99].map { $0.map { String(format: "%8.1f", $0) } ?? "       –" }.joined()
        }
    }

    init(json: Bool) {
        self.json = json
        guard !json else { return }
        print(
            """
            \(pad("", 30)) runs  right  status   once    capture ms      fault→dead ms  fault→stored ms
            \(pad("case", 30))                               p50     p99     p50     p99     p50     p99
            """)
    }

    mutating func skip(_ entry: MatrixCase, _ why: String) {
        skipped[entry.name] = why
        if !json { print("\(pad(entry.name, 30)) skipped: \(why)") }
    }

    mutating func add(_ entry: MatrixCase, _ runs: [CrashRun]) {
        var row = Row(name: entry.name)
        row.runs = runs.count
        row.correct = runs.count { $0.faults.isEmpty }
        row.trueStatus = runs.count { !$0.faults.contains { $0.hasPrefix("wait status") } }
        row.once = runs.count {
            !$0.faults.contains { $0.contains(" reports instead of ") || $0.hasPrefix("no report") }
        }
        row.captureMilliseconds = Quantiles(runs.compactMap(\.copied))
        row.deadMilliseconds = Quantiles(runs.compactMap(\.dead))
        row.storedMilliseconds = Quantiles(runs.compactMap(\.stored))
        for fault in runs.flatMap(\.faults) { row.faults[fault, default: 0] += 1 }
        if row.correct != row.runs { isClean = false }
        rows.append(row)
        if !json { printLine(row) }
    }

    private func printLine(_ row: Row) {
        let counts = String(format: "%5d %6d %7d %6d", row.runs, row.correct, row.trueStatus, row.once)
        print(
            pad(row.name, 30) + counts + row.captureMilliseconds.text + row.deadMilliseconds.text
                + row.storedMilliseconds.text)
        for (fault, count) in row.faults.sorted(by: { $0.value > $1.value }).prefix(5) {
            print("    \(count) × \(fault)")
        }
        fflush(nil)
    }

    /// - Parameters:
    ///   - strays: reports that came after their crash was settled.
    ///   - collectorStatus: the wait status with which the one collector ended.
    mutating func finish(strays: Int, collectorStatus: Int32) {
        if strays != 0 || collectorStatus != 0 { isClean = false }
        let (runs, correct) = (rows.reduce(0) { $0 + $1.runs }, rows.reduce(0) { $0 + $1.correct })
        let (status, once) = (rows.reduce(0) { $0 + $1.trueStatus }, rows.reduce(0) { $0 + $1.once })
        if json {
            struct Whole: Encodable {
                var cases: [Row]
                var skipped: [String: String]
                var runs: Int, correct: Int, true_status: Int, once: Int
                var reported_again: Int
                var collector_status: Int32
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            let whole = Whole(
                cases: rows, skipped: skipped, runs: runs, correct: correct, true_status: status, once: once,
                reported_again: strays, collector_status: collectorStatus)
            print(String(decoding: (try? encoder.encode(whole)) ?? Data(), as: UTF8.self))
            return
        }
        print(
            """

            \(runs) crashes: \(correct) correct reports, \(status) true wait statuses, \(once) reported exactly as often as they should be,
            \(strays) reported again later; one collector served them all and ended with status \(collectorStatus).
            """)
    }
}

private func pad(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}
