// Defines the paragraph about a value that went wrong where nobody could catch it: what it is, who let it go, what holds its like, who made
// it. Separate because it tells of two threads and two moments.

import GraniteReport

extension ReportText {
    /// What was released or raised; then where it was made, as a stack if that is known.
    var dropSite: [TextLine] {
        // Of a panic it says nothing that is not said already.
        guard report.kind != .panic, let site = report.dropSite else { return [] }
        var lines: [TextLine] = []
        if let subject = site.subject { lines += labelled("Object", subject + pythonType(site)) }
        if let message = site.message, message != report.reason { lines += labelled("Message", message) }
        lines += dropped(site) + holders(site)
        let created = TerminalText.bounded(creation(site), scalars: 400)
        guard let frames = site.creationFrames, !frames.isEmpty else {
            guard !created.isEmpty else { return lines }
            return lines + labelled("Created", created + (site.createdIn == nil ? "; where is not known" : ""))
        }
        if !lines.isEmpty { lines.append(TextLine()) }
        var heading = TextLine("Created", .label)
        heading.add(" ")
        lines += TextLine.wrapped(heading, created.isEmpty ? "here" : created, hanging: heading.columns, width: width)
        return lines + stack.lines(frames: frames)
    }

    /// `, in Python granian._granian.WSGIProtocol`, where its maker calls it otherwise.
    private func pythonType(_ site: DropSite) -> String {
        guard let type = site.type, let subject = site.subject, !subject.contains(type) else { return "" }
        return subject.contains("::") ? ", in Python \(type)" : " (\(type))"
    }

    /// `by thread 4711 "main", which has ended, at 13:40:11.900 UTC in connect (app.py:9)`.
    private func creation(_ site: DropSite) -> String {
        let owner = [site.ownerTid.map { "thread \($0)" }, site.ownerName.map { "\"\($0)\"" }].compactMap { $0 }
            .joined(separator: " ")
        let state = site.ownerState == "ended" ? ", which has ended," : ""
        let time = site.created.flatMap { time in
            Timestamp.nanoseconds(of: time).map { _ in "at \(time.dropFirst(11).prefix(12)) UTC" }
        }
        return [owner.isEmpty ? nil : "by \(owner)\(state)", time, site.createdIn.map { "in \($0)" }].compactMap { $0 }
            .joined(separator: " ")
    }

    /// `by thread 4719 "pool-3" during garbage collection of generation 2`; nothing without a collection: the stack says the rest.
    private func dropped(_ site: DropSite) -> [TextLine] {
        guard let collector = site.collector else { return [] }
        let who = report.crashedThread.map { "by thread\(name($0).dropFirst("Thread".count))" }
        let generation = site.generation.map { " of generation \($0)" } ?? ""
        let collection =
            collector == "running"
            ? "during garbage collection\(generation): the line that it interrupted is innocent"
            : "while another thread collected garbage\(generation)"
        return labelled("Dropped", [who, collection].compactMap { $0 }.joined(separator: " "))
    }

    /// The cycle, a step a line, and the direct referrers by type.
    private func holders(_ site: DropSite) -> [TextLine] {
        let whose = site.referrersOf == "another" ? " of another living object of the type" : ""
        var lines: [TextLine] = []
        let steps = site.heldBy ?? []
        let shown = steps.prefix(options.all ? steps.count : 12)
        for (index, step) in shown.enumerated() {
            lines += labelled(index == 0 ? "Held by" : "", (index == 0 ? "" : "→ ") + step)
        }
        if steps.count > shown.count { lines += labelled("", "→ … \(steps.count - shown.count) more (--all)", .quiet) }
        if !steps.isEmpty { lines += labelled("", "→ \(whose.isEmpty ? "the object" : "another object of the type")") }
        let referrers = (site.referrers ?? []).prefix(8).map { "\(Quantity.grouped($0.count)) \($0.type)" }
        if !referrers.isEmpty { lines += labelled("Referrers", referrers.joined(separator: ", ") + whose) }
        let allocated = site.allocatedAt ?? []
        if !allocated.isEmpty {
            lines += labelled(
                "Allocated", "at " + allocated.prefix(options.all ? allocated.count : 3).joined(separator: " from "))
        }
        if let living = site.living, living > 0 {
            lines += labelled("Living", "\(Quantity.count(living, "object")) of the type")
        }
        return lines
    }

    /// `Counted    21,117 in 3.9 s, 1 reported: RuntimeError: … is unsendable`: what happened more often than it was reported.
    var counted: [TextLine] {
        let repeated = (report.occasions ?? []).filter { ($0.count ?? 0) > max(1, $0.captured ?? 0) }
        let shown = repeated.prefix(options.all ? repeated.count : 3)
        var lines: [TextLine] = []
        for (index, occasion) in shown.enumerated() {
            let span = occasion.overSeconds.flatMap { $0 > 0 ? Quantity.duration(seconds: $0) : nil }
            let reported = occasion.captured.map { ", \(Quantity.grouped($0)) reported" } ?? ""
            let what = [occasion.message, occasion.subject].compactMap { $0 }.first { !$0.isEmpty }
            let text = "\(Quantity.grouped(occasion.count ?? 0))\(span.map { " in \($0)" } ?? "")\(reported)"
            lines += labelled(
                index == 0 ? "Counted" : "", text + (what.map { ": " + TerminalText.bounded($0, scalars: 200) } ?? ""))
        }
        if repeated.count > shown.count {
            lines += labelled("", "and \(Quantity.count(repeated.count - shown.count, "kind")) more (--all)", .quiet)
        }
        return lines
    }
}
