// Defines how a stack is laid out in columns: number, language, function, place, and source lines under the application's frames.

import GraniteReport

struct StackText {
    let width: Int
    let all: Bool
    /// Whether local variables are shown under their functions.
    var locals = false
    /// Working directory of the process, to which paths are shortened.
    let directory: String?

    /// Columns before the function: number, language.
    private static let lead = 11

    func lines(frames: [Frame], folded: ThreadReport.FoldedCycle? = nil) -> [TextLine] {
        let outline = StackOutline(frames: frames, folded: folded, all: all)
        let room = max(30, width - Self.lead)
        var symbols = 0
        var locations = 0
        for case .frame(_, let frame, _) in outline.rows {
            symbols = max(symbols, TerminalText.columns(symbol(frame)))
            locations = max(locations, TerminalText.columns(location(frame)))
        }
        let locationWidth = min(locations, max(24, room / 2 - 1))
        let symbolWidth = max(20, min(symbols, room - locationWidth - 2))
        var lines: [TextLine] = []
        for row in outline.rows {
            switch row {
            case .frame(let number, let frame, let source):
                lines += frameLines(number, frame, room: room, symbolWidth: symbolWidth, locationWidth: locationWidth)
                lines += sourceLines(source, current: frame.line)
                if locals { lines += localLines(frame.locals ?? []) }
            case .turns(let length, let repeats, let atLeast):
                let turns = "\(atLeast ? "at least " : "")\(Quantity.grouped(repeats)) more turns of"
                lines.append(note("… \(turns) \(length == 1 ? "this frame" : "these \(length) frames")"))
            case .omitted(let count): lines.append(note("… \(Quantity.count(count, "frame")) more (--all)"))
            }
        }
        let foldings = [(outline.foldedInterpreter, "of the interpreter"), (outline.foldedRuntime, "of the runtime")]
            .filter { $0.0 > 0 }
        if let first = foldings.first {
            let rest = foldings.dropFirst().map { " and \(Quantity.grouped($0.0)) \($0.1)" }.joined()
            lines.append(note("\(Quantity.count(first.0, "frame")) \(first.1)\(rest) folded (--all)"))
        }
        let trusts = Set(outline.rows.compactMap { if case .frame(_, let frame, _) = $0 { frame.trust } else { nil } })
        lines += Self.legend.filter { trusts.contains($0.trust) }.map { note("\(Self.mark($0.trust)) \($0.meaning)") }
        return lines
    }

    /// How a frame was found, where that is less than call frame information.
    private static let legend: [(trust: Frame.Trust, meaning: String)] = [
        (.framePointer, "found by the frame pointer: likely right"),
        (.handler, "found by the process itself as it died: likely right"),
        (.scan, "found by searching the stack for return addresses: may be wrong"),
    ]

    private static func mark(_ trust: Frame.Trust?) -> String {
        switch trust {
        case .framePointer: "~"
        case .handler: "+"
        case .scan: "?"
        case .context, .cfi, nil: " "
        }
    }

    private func note(_ text: String) -> TextLine {
        var line = TextLine("    ")
        line.add(text, .quiet)
        return line
    }

    private func frameLines(_ number: Int, _ frame: Frame, room: Int, symbolWidth: Int, locationWidth: Int)
        -> [TextLine]
    {
        var symbol = symbol(frame)
        var location = location(frame)
        var line = TextLine()
        let digits = String(number)
        line.add(String(repeating: " ", count: max(0, 3 - digits.utf8.count)) + digits, .quiet)
        line.add(Self.mark(frame.trust), .warning)
        line.add(
            TerminalText.cutEnd(TerminalText.neutralised(frame.writtenIn), columns: 6), .language,
            width: Self.lead - line.columns - 1)
        line.add(" ")
        let role: TextRole? = frame.inApp == true ? .app : frame.role == .code ? nil : .quiet
        let fits = TerminalText.columns(symbol) + 2 + TerminalText.columns(location) <= room
        if all, !fits {
            line.add(symbol, role)
            var second = TextLine(String(repeating: " ", count: Self.lead + 2))
            second.add(location, .location)
            return [line, second]
        }
        if TerminalText.columns(symbol) > symbolWidth, !fits || TerminalText.columns(location) > locationWidth {
            location = Self.fitted(location, columns: locationWidth)
            symbol = SymbolText.fitted(symbol, columns: max(symbolWidth, room - 2 - TerminalText.columns(location)))
        } else {
            location = Self.fitted(location, columns: room - 2 - max(symbolWidth, TerminalText.columns(symbol)))
        }
        line.add(symbol, role, width: symbolWidth)
        line.add("  ")
        line.add(location, .location)
        return [line]
    }

    private func symbol(_ frame: Frame) -> String {
        var name = frame.symbol ?? "(no symbol)"
        if frame.isSignalTrampoline { name = "(signal handler called)" }
        // It is on no stack: it waits for what is above it.
        if frame.kind == .swiftAsync { name = "await " + name }
        return TerminalText.neutralised(name + (all && frame.inlined == true ? " [inlined]" : ""))
    }

    /// `file:line`, else module and offset, else the address.
    private func location(_ frame: Frame) -> String {
        if let file = frame.file {
            let short = TerminalText.neutralised(SourcePath.short(file, relativeTo: directory))
            guard let line = frame.line else { return short }
            return "\(short):\(line)" + (all ? frame.column.map { ":\($0)" } ?? "" : "")
        }
        if let module = frame.module {
            let name = TerminalText.neutralised(module.split(separator: "/").last.map(String.init) ?? module)
            return name + (frame.offset.map { "+0x" + String($0.value, radix: 16) } ?? "")
        }
        return frame.address?.description ?? ""
    }

    /// A path in at most `limit` columns: the folders in the middle go first, the file and line last.
    private static func fitted(_ location: String, columns limit: Int) -> String {
        if TerminalText.columns(location) <= limit { return location }
        let parts = location.split(separator: "/", omittingEmptySubsequences: false)
        if let first = parts.first, let last = parts.last, parts.count > 1 {
            for short in ["\(first)/…/\(last)", "…/\(last)"] where TerminalText.columns(short) <= limit { return short }
        }
        return TerminalText.cutMiddle(location, columns: limit)
    }

    /// `name = value`, a line each; wrapped only if nothing may be left out.
    private func localLines(_ locals: [Frame.Local]) -> [TextLine] {
        let indent = String(repeating: " ", count: Self.lead + 2)
        return locals.flatMap { local in
            var line = TextLine(indent)
            line.add(TerminalText.cutEnd(TerminalText.neutralised(local.name), columns: 32) + " = ", .quiet)
            let value = TerminalText.neutralised(local.value)
            guard all else {
                line.add(TerminalText.cutEnd(value, columns: max(10, width - line.columns)))
                return [line]
            }
            return TextLine.wrapped(line, value, nil, hanging: Self.lead + 6, width: width)
        }
    }

    /// Source under its frame, without the indentation that all of it has, an arrow at the line that was running.
    private func sourceLines(_ source: [Frame.SourceLine], current: Int?) -> [TextLine] {
        let texts = source.map { line in
            line.text.split(separator: "\t", omittingEmptySubsequences: false).joined(separator: "    ")
        }
        let indents = texts.filter { !$0.allSatisfy(\.isWhitespace) }.map { $0.prefix { $0 == " " }.count }
        let common = indents.min() ?? 0
        return zip(source, texts).map { source, text in
            let isCurrent = source.line == current
            let number = String(source.line)
            var line = TextLine(String(repeating: " ", count: Self.lead))
            line.add(isCurrent ? "→ " : "  ", .current)
            line.add(String(repeating: " ", count: max(0, 3 - number.utf8.count)) + number + "  ", .quiet)
            let kept = TerminalText.neutralised(String(text.dropFirst(common)))
            line.add(TerminalText.cutEnd(kept, columns: max(10, width - line.columns)), isCurrent ? nil : .quiet)
            return line
        }
    }
}
