// Defines the table of reports: two lines each, because an id and a reason do not fit on one.

package import GraniteReport

/// The text of a list.
package struct ReportListText: Sendable {
    package struct Row: Sendable {
        let report: CrashReport
        let damage: String?

        /// - Parameter damage: what is wrong with the file, nil if nothing is.
        package init(report: CrashReport, damage: String?) {
            self.report = report
            self.damage = damage
        }
    }

    private let rows: [Row]
    private let width: Int
    private let theme: Theme

    /// Newest first.
    package init(_ rows: [Row], width: Int = 80, theme: Theme = .plain) {
        self.rows = rows
        self.width = max(40, width)
        self.theme = theme
    }

    package var rendered: String {
        var lines = [TextLine("TIME (UTC)           ID                          WORKER  GROUP  WHAT", .label)]
        for row in rows { lines += self.lines(row) }
        return lines.map { $0.rendered(theme) + "\n" }.joined()
    }

    private func lines(_ row: Row) -> [TextLine] {
        let report = row.report
        var line = TextLine()
        let known = report.time.flatMap(Timestamp.nanoseconds) != nil
        line.add(
            report.time.map { known ? "\($0.prefix(10)) \($0.dropFirst(11).prefix(8))" : "?" } ?? "?", nil, width: 21)
        line.add(TerminalText.cutEnd(report.id, columns: 26), .app, width: 28)
        let program = report.process?.program.map { TerminalText.cutEnd(TerminalText.neutralised($0), columns: 7) }
        line.add(report.worker?.slot.map(String.init) ?? program ?? "-", nil, width: 8)
        line.add((report.fingerprint?.hash.prefix(4)).map(String.init) ?? "-", .language, width: 7)
        line.add(row.damage == nil ? what(report) : "damaged", row.damage == nil ? .alarm : .warning)
        let text = row.damage.map { "cannot be read: \($0)" } ?? Headline.reason(report)
        var second = TextLine("    ")
        second.add(
            TerminalText.cutEnd(TerminalText.neutralised(text), columns: width - 4), row.damage == nil ? nil : .warning)
        return [line, second]
    }

    /// One word or two.
    private func what(_ report: CrashReport) -> String {
        switch report.kind {
        case .signal, nil: return report.signal?.name ?? report.process?.exit?.signal ?? "?"
        case .exit: return report.process?.exit?.signal ?? report.process?.exit?.code.map { "exit \($0)" } ?? "exit"
        case .oomKill: return "out of memory"
        case let kind?: return kind.rawValue.split(separator: "_").joined(separator: " ")
        }
    }
}
