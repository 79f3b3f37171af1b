// Defines a line of styled text. Whatever comes from a report passes through here, and is made harmless to a terminal here.

import GraniteReport

/// Pieces of text with their roles, not yet coloured.
struct TextLine: Equatable {
    private(set) var pieces: [Piece] = []
    /// Columns used.
    private(set) var columns = 0

    struct Piece: Equatable {
        var text: String
        var role: TextRole?
    }

    init(_ text: String = "", _ role: TextRole? = nil) { add(text, role) }

    /// Adds text at the end, control characters made visible.
    mutating func add(_ text: String, _ role: TextRole? = nil) {
        guard !text.isEmpty else { return }
        let harmless = TerminalText.neutralised(text)
        pieces.append(Piece(text: harmless, role: role))
        columns += TerminalText.columns(harmless)
    }

    /// Adds text, then spaces until it takes `width` columns.
    mutating func add(_ text: String, _ role: TextRole? = nil, width: Int) {
        let before = columns
        add(text, role)
        add(String(repeating: " ", count: max(0, width - (columns - before))))
    }

    func rendered(_ theme: Theme) -> String {
        var text = pieces.map { theme.styled($0.text, $0.role) }.joined()
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }

    /// Longest text that is wrapped, in Unicode scalars: some two hundred lines.
    private static let maxWrappedScalars = 16 * 1024

    /// The text in lines of at most `width` columns, broken at spaces, or within a word that is longer than a line. Further lines are
    /// indented by `hanging`. What is longer than ``maxWrappedScalars`` is cut.
    static func wrapped(_ first: TextLine, _ text: String, _ role: TextRole? = nil, hanging: Int, width: Int)
        -> [TextLine]
    {
        var lines: [TextLine] = []
        var line = first
        let room = max(10, width - hanging)
        var atStart = true
        func breakLine() {
            lines.append(line)
            line = TextLine(String(repeating: " ", count: hanging))
            atStart = true
        }
        for word in TerminalText.neutralised(TerminalText.bounded(text, scalars: maxWrappedScalars)).split(
            separator: " ")
        {
            var rest = word
            var columns = TerminalText.columns(String(word))
            if !atStart, line.columns + 1 + columns > width { breakLine() }
            // The word is walked once, by index: a report's reason may be one word of megabytes.
            while columns > room {
                let head = TerminalText.prefix(rest, columns: max(1, width - line.columns))
                guard !head.isEmpty else { break }
                line.add(String(head), role)
                breakLine()
                columns -= TerminalText.columns(String(head))
                rest = rest[head.endIndex...]
            }
            line.add((atStart ? "" : " ") + rest, role)
            atStart = false
        }
        return lines + [line]
    }

    /// Short statements on as few lines as they fit, ` · ` between them.
    static func flowing(_ parts: [String], indent: Int, width: Int) -> [TextLine] {
        var lines: [TextLine] = []
        var line: TextLine?
        for part in parts where !part.isEmpty {
            if var current = line, current.columns + 3 + TerminalText.columns(TerminalText.neutralised(part)) <= width {
                current.add(" · " + part)
                line = current
                continue
            }
            if let line { lines.append(line) }
            line = TextLine(String(repeating: " ", count: indent))
            let capital = part.prefix(1).uppercased() + part.dropFirst()
            line?.add(capital)
        }
        return lines + [line].compactMap { $0 }
    }
}
