// Defines the paragraphs about threads: the crashed one, and all others.

import GraniteReport

extension ReportText {
    /// The stack of the thread that crashed, or why there is none.
    var crashedThread: [TextLine] {
        // Memory grew elsewhere than on the thread that counted.
        if report.kind == .growth, !options.all { return [] }
        guard let thread = report.crashedThread else {
            return report.kind == nil && report.process == nil && report.worker == nil
                ? [] : TextLine.wrapped(TextLine(), Headline.missingStack(report), .quiet, hanging: 0, width: width)
        }
        let did =
            switch report.kind {
            case .dropSite: "released it"
            case .unraisable: "raised it"
            case .threadException: "was ended by it"
            case .panic: "panicked"
            case .hang, .dump: thread.state ?? "was asked"
            default: thread.crashed == true || thread.state == nil ? "crashed" : thread.state ?? ""
            }
        var heading = TextLine(name(thread), .label)
        heading.add(" \(did)\(thread.holdsGIL == true ? ", holding the GIL" : "")")
        return [heading] + body(thread) + (options.registers ? registers(thread) : [])
    }

    /// All other threads, equal stacks once, with `--threads`.
    var otherThreads: [TextLine] {
        guard options.threads || options.all, let threads = report.threads else { return [] }
        var groups: [(key: [String], threads: [ThreadReport])] = []
        var positions: [[String]: Int] = [:]
        for thread in threads where thread != report.crashedThread {
            func places(_ frames: [Frame]?) -> [String] {
                (frames ?? []).map { "\($0.symbol ?? "")|\($0.file ?? $0.module ?? "")|\($0.line ?? 0)" }
            }
            let key =
                [
                    thread.state ?? "", thread.holdsGIL == true ? "GIL" : "", thread.note ?? "",
                    "\(thread.frames?.count ?? 0)",
                ]
                + places(thread.frames) + places(thread.unmergedPythonFrames)
            if let position = positions[key] {
                groups[position].threads.append(thread)
            } else {
                positions[key] = groups.count
                groups.append((key, [thread]))
            }
        }
        return Array(groups.map { group in self.group(group.threads) }.joined(separator: [TextLine()]))
    }

    private func group(_ threads: [ThreadReport]) -> [TextLine] {
        guard let first = threads.first else { return [] }
        var heading = TextLine(name(first), .label)
        if threads.count > 1 {
            heading.add(" and \(Quantity.grouped(threads.count - 1)) more with the same stack")
        }
        if let state = first.state { heading.add(", \(state)") }
        if first.holdsGIL == true { heading.add(", holding the GIL") }
        return [heading] + body(first)
    }

    func name(_ thread: ThreadReport) -> String {
        guard let name = thread.name else { return "Thread \(thread.tid)" }
        let harmless = TerminalText.neutralised(TerminalText.bounded(name, scalars: 128))
        return "Thread \(thread.tid) \"\(TerminalText.cutEnd(harmless, columns: 64))\""
    }

    private func body(_ thread: ThreadReport) -> [TextLine] {
        var lines = stack.lines(frames: thread.frames ?? [], folded: thread.folded)
        if thread.frames?.isEmpty != false { lines.append(TextLine("    No frames were found.", .warning)) }
        if thread.truncated == true {
            lines.append(TextLine("    The stack goes on, but could not be followed further.", .warning))
        }
        let unmerged = thread.unmergedPythonFrames ?? []
        if let note = thread.note {
            lines += TextLine.wrapped(TextLine("    "), note, .warning, hanging: 4, width: width)
        }
        if !unmerged.isEmpty {
            lines.append(TextLine("  Python frames of this thread, not merged into the list above", .label))
            lines += stack.lines(frames: unmerged)
        }
        return lines
    }

    private func registers(_ thread: ThreadReport) -> [TextLine] {
        guard let registers = thread.registers, !registers.isEmpty else {
            return [TextLine("    No registers were kept.", .warning)]
        }
        let perLine = max(1, (width - 4) / 25)
        let cells = registers.map { register in
            String(repeating: " ", count: max(0, 4 - register.name.count))
                + "\(TerminalText.cutEnd(register.name, columns: 8)) \(register.value)"
        }
        var lines = [TextLine(), TextLine("Registers", .label)]
        for start in stride(from: 0, to: cells.count, by: perLine) {
            lines.append(TextLine("  " + cells[start..<min(start + perLine, cells.count)].joined(separator: "  ")))
        }
        for register in registers where options.all {
            guard let memory = register.memory, !memory.isEmpty else { continue }
            lines.append(
                TextLine("  memory at \(register.name): \(TerminalText.cutEnd(memory, columns: width - 24))", .quiet))
        }
        return lines
    }
}
