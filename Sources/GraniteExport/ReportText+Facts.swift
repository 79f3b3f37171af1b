// Defines the labelled facts under the stack, and the worker's last words.

import GraniteReport

extension ReportText {
    /// Columns of a label.
    private static let labelWidth = 11

    /// `Diagnosis  null dereference, certain: …`, wrapped under itself.
    func labelled(_ label: String, _ text: String, _ role: TextRole? = nil) -> [TextLine] {
        var first = TextLine()
        first.add(label, .label, width: Self.labelWidth)
        return TextLine.wrapped(first, text, role, hanging: Self.labelWidth, width: width)
    }

    var facts: [TextLine] {
        diagnosis + exception + interpreter + counted + others + inFlight + before + memory + growth + symbols + capture
            + process
    }

    private var diagnosis: [TextLine] {
        guard let diagnosis = report.diagnosis else { return [] }
        let category = diagnosis.category.split(separator: "_").joined(separator: " ")
        let confidence = diagnosis.confidence.isEmpty ? "" : ", \(diagnosis.confidence)"
        let evidence = diagnosis.evidence
        let title = category + confidence + (evidence.isEmpty ? "" : ":")
        // What fills many lines is read by its points.
        guard evidence.count > 3, evidence.lazy.map(\.unicodeScalars.count).reduce(0, +) > 4 * width else {
            return labelled("Diagnosis", [title, evidence.joined(separator: "; ")].joined(separator: " "))
        }
        var lines = labelled("Diagnosis", title)
        for point in evidence {
            let first = TextLine(String(repeating: " ", count: Self.labelWidth) + "- ")
            lines += TextLine.wrapped(first, point, hanging: Self.labelWidth + 2, width: width)
        }
        return lines
    }

    /// `11 threads: 8 idle, 2 waiting for the GIL, 1 event loop (--threads)`.
    private var others: [TextLine] {
        guard let threads = report.threads, threads.count > 1 else { return [] }
        var counts: [String: Int] = [:]
        for thread in threads where thread != report.crashedThread {
            counts[thread.state ?? "in an unknown state", default: 0] += 1
        }
        let states = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
            "\(Quantity.grouped($0.value)) \($0.key)"
        }
        let shown = options.threads || options.all
        return labelled(
            "Others",
            "\(Quantity.count(threads.count - 1, "thread")): \(states.joined(separator: ", "))\(shown ? "" : " (--threads)")"
        )
    }

    private var inFlight: [TextLine] {
        let others = (report.requests ?? []).filter { $0 != report.request }
        let shown = others.prefix(options.all ? others.count : 3)
        var lines: [TextLine] = []
        for (index, request) in shown.enumerated() {
            let room = width - Self.labelWidth
            lines += labelled(index == 0 ? "In flight" : "", RequestText.description(request, columns: room))
        }
        if others.count > shown.count {
            lines += labelled("", "and \(Quantity.count(others.count - shown.count, "request")) more (--all)", .quiet)
        }
        return lines
    }

    /// Which objects of the crashed thread's stack lack debug information.
    private var symbols: [TextLine] {
        let used = Set((report.crashedThread?.frames ?? []).compactMap(\.module))
        let modules = (report.modules ?? []).filter { $0.path.map(used.contains) == true && $0.debug != nil }
        guard !modules.isEmpty else { return [] }
        let lacking = modules.filter { $0.debug != "found" }
        if lacking.isEmpty { return labelled("Symbols", "all found") }
        let names = lacking.prefix(options.all ? lacking.count : 4).map { module in
            let path = module.path ?? "?"
            let name = path.split(separator: "/").last.map(String.init) ?? path
            if module.debug == "replaced" { return "\(name) (the file on disk is another build)" }
            return name + (DebugPackage.name(of: path).map { " (apt-get install \($0))" } ?? "")
        }
        let rest = lacking.count > names.count ? " and \(lacking.count - names.count) more" : ""
        return labelled(
            "Symbols",
            (lacking.count < modules.count ? "all found but " : "none for ") + names.joined(separator: ", ") + rest)
    }

    private var capture: [TextLine] {
        guard let capture = report.capture else { return [] }
        var parts = capture.errors ?? []
        if capture.incomplete == true {
            parts.insert(
                "the report is incomplete\(capture.stage.map { ", the last stage that ended is \"\($0)\"" } ?? "").",
                at: 0)
        }
        if let suppressed = capture.suppressed, suppressed > 0 {
            parts.append(
                "\(Quantity.grouped(suppressed)) more like this \(suppressed == 1 ? "was" : "were") only counted.")
        }
        return parts.isEmpty ? [] : labelled("Capture", parts.joined(separator: " "), .warning)
    }

    private var process: [TextLine] {
        guard let process = report.process else { return [] }
        var parts: [String] = []
        if let version = process.graniteVersion { parts.append("Granite \(version)") }
        if let version = process.pythonVersion { parts.append("Python \(version)") }
        if let kernel = process.kernel { parts.append("Linux \(kernel)\(process.architecture.map { " \($0)" } ?? "")") }
        if memory.isEmpty, let rss = process.resources.map(\.maxRSSBytes) ?? process.rssBytes, rss > 0 {
            parts.append("\(Quantity.bytes(rss)) peak")
        }
        var lines = parts.isEmpty ? [] : labelled("Process", parts.joined(separator: ", "), .quiet)
        if options.all, let argv = process.argv { lines += labelled("Command", argv.joined(separator: " "), .quiet) }
        return lines
    }

    /// Breadcrumbs and the last lines of standard error.
    var lastWords: [TextLine] {
        var lines: [TextLine] = []
        let crumbs = report.breadcrumbs ?? []
        let shownCrumbs = crumbs.suffix(options.all ? crumbs.count : 5)
        if !shownCrumbs.isEmpty {
            lines.append(TextLine(title("Breadcrumbs", shownCrumbs.count, of: crumbs.count), .label))
        }
        for crumb in shownCrumbs {
            let time = crumb.time.map { "\($0.dropFirst(11).prefix(12)) " } ?? ""
            let text = time + (crumb.category.map { "\($0): " } ?? "") + (crumb.message ?? "")
            lines += TextLine.wrapped(TextLine("    "), text, hanging: 6, width: width)
        }
        let log = report.logTail ?? []
        let limit = options.all ? log.count : report.kind == .startup ? 20 : 5
        let shown = log.suffix(limit)
        if !shown.isEmpty {
            if !lines.isEmpty { lines.append(TextLine()) }
            lines.append(TextLine(title("Last lines on standard error", shown.count, of: log.count), .label))
        }
        for text in shown {
            var line = TextLine("    ")
            line.add(options.all ? text : TerminalText.cutEnd(TerminalText.neutralised(text), columns: width - 4))
            lines.append(line)
        }
        return lines
    }

    private func title(_ text: String, _ shown: Int, of count: Int) -> String {
        shown < count ? "\(text) (the last \(shown) of \(count), --all)" : text
    }
}
