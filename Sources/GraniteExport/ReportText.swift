// Defines the text of a report: what a tired reader needs on the first screen, and the rest on demand.

package import GraniteReport

/// The text of one report. Made of values alone; printing it is the caller's.
package struct ReportText: Sendable {
    package struct Options: Sendable {
        /// Columns of the terminal, at least 40.
        package var width = 80
        /// Every frame and line, names in full.
        package var all = false
        /// Stacks of all threads.
        package var threads = false
        /// Registers of the crashed thread.
        package var registers = false
        /// Local variables of Python functions, if the report has them.
        package var locals = false
        package var theme = Theme.plain
        /// How often the bug came; nil if that is not known.
        package var occurrences: Occurrences?

        package init() {}
    }

    let report: CrashReport
    let options: Options
    let width: Int

    package init(_ report: CrashReport, _ options: Options = Options()) {
        self.report = report
        self.options = options
        width = max(40, options.width)
    }

    /// The whole text, with a line feed at its end.
    package var rendered: String {
        let sections = [head, crashedThread, thrown, dropSite, facts, otherThreads, lastWords].filter { !$0.isEmpty }
        return sections.map { section in section.map { $0.rendered(options.theme) + "\n" }.joined() }.joined(
            separator: "\n")
    }

    var stack: StackText {
        StackText(
            width: width, all: options.all, locals: options.locals || options.all, directory: report.process?.directory)
    }

    /// The first paragraph: what, why, for whom, since when, how often.
    private var head: [TextLine] {
        var title = TextLine("*** granite crash \(report.id.isEmpty ? "without an id" : report.id)", .alarm)
        title.add(" · ")
        title.add(Headline.statement(report), .alarm)
        var lines = [title]
        lines += TextLine.wrapped(TextLine("    "), Headline.reason(report), .reason, hanging: 4, width: width)
        lines += TextLine.flowing([serving, uptime], indent: 4, width: width)
        lines += TextLine.flowing([time, replacement, group], indent: 4, width: width)
        if report.schema != CrashReport.schemaName {
            let note =
                "Written as \"\(report.schema)\", not as \(CrashReport.schemaName): some of it may be missing here."
            lines += TextLine.wrapped(TextLine("    "), note, .warning, hanging: 4, width: width)
        }
        return lines
    }

    /// `serving GET /crash/null for 2.1 ms (request 7f3c9a)`; the target is cut so that it all fits one line.
    private var serving: String {
        guard let request = report.request else { return "" }
        return "serving " + RequestText.description(request, columns: width - 4 - 8)
    }

    /// `ran as pid 4711 for 3 min 12 s, 18,204 requests`.
    private var uptime: String {
        let up = (report.worker?.uptimeSeconds ?? report.process?.uptimeSeconds).flatMap(Quantity.duration(seconds:))
            .map { " for \($0)" }
        let name = report.process?.pid.map { " as pid \($0)" }
        var parts =
            name == nil && up == nil
            ? []
            : [
                (report.kind?.goesOn == true || (report.kind == .hang && report.process?.exit == nil) ? "runs" : "ran")
                    + (name ?? "") + (up ?? "")
            ]
        if let served = report.worker?.requestsServed, served > 0 {
            parts.append("\(Quantity.grouped(served)) request\(served == 1 ? "" : "s")")
        }
        return parts.joined(separator: ", ")
    }

    /// `2026-11-24 13:40:12 UTC`.
    private var time: String {
        guard let time = report.time else { return "" }
        guard Timestamp.nanoseconds(of: time) != nil else { return time }
        return "\(time.prefix(10)) \(time.dropFirst(11).prefix(8)) UTC"
    }

    /// `replaced by pid 4790 after 38 ms`.
    private var replacement: String {
        guard let pid = report.worker?.respawnedAs else { return "" }
        let after = report.worker?.respawnMilliseconds.flatMap { Quantity.duration(seconds: $0 / 1000) }
        return "replaced by pid \(pid)\(after.map { " after \($0)" } ?? "")"
    }

    /// `group 5e1a, 3rd time since 09:12`.
    private var group: String {
        guard let hash = report.fingerprint?.hash, !hash.isEmpty else { return "" }
        let name = "group \(hash.prefix(4))"
        guard let times = options.occurrences, times.count > 0 else { return name }
        if times.count == 1 { return name + ", first time" }
        let ordinal = times.ordinal ?? times.count
        let which =
            Quantity.ordinal(ordinal) + (ordinal < times.count ? " of \(Quantity.grouped(times.count)) times" : " time")
        guard let first = times.firstTime else { return "\(name), \(which)" }
        let day = first.prefix(10) == report.time?.prefix(10) ? "" : "\(first.prefix(10)) "
        return "\(name), \(which) since \(day)\(first.dropFirst(11).prefix(5))"
    }
}
