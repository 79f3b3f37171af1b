// Defines how a function's name is cut to a column without losing which function it is: first what the compiler can say twice goes
// (results, arguments, type arguments), and only then letters in the middle.

import GraniteReport

enum SymbolText {
    /// The name in at most `limit` columns.
    static func fitted(_ symbol: String, columns limit: Int) -> String {
        var name = symbol
        for shorten in [withoutResult, withoutTypeArguments, withoutArguments] {
            if TerminalText.columns(name) <= limit { return name }
            name = shorten(name)
        }
        return TerminalText.cutMiddle(name, columns: limit)
    }

    /// `f(_:)` of Swift's `f(_:) async throws -> Int`.
    private static func withoutResult(_ name: String) -> String {
        guard let close = closing(name) else { return name }
        let rest = name[name.index(after: close)...]
        return rest.hasPrefix(" ") && !rest.contains(" in ") ? String(name[...close]) : name
    }

    /// `Map<…>.insert(_:)` of `Map<String, Array<Int>>.insert(_:)`.
    private static func withoutTypeArguments(_ name: String) -> String { emptied(name, "<", ">") }

    /// `insert(…)` of `insert(std::string const&, int)`; Swift's labels go too.
    private static func withoutArguments(_ name: String) -> String { emptied(name, "(", ")") }

    /// The end of the last bracketed list at the outermost level.
    private static func closing(_ name: String) -> String.Index? {
        var depth = 0
        var last: String.Index?
        for index in name.indices {
            if name[index] == "(" { depth += 1 }
            if name[index] == ")" {
                depth -= 1
                if depth == 0 { last = index }
            }
            // A result type in brackets is not an argument list.
            if depth == 0, last != nil, name[index...].hasPrefix(" -> ") { break }
        }
        return last
    }

    /// What stands between outermost brackets replaced by `…`. The `>` of `->` is no bracket, nor is what follows `operator`; unbalanced
    /// names stay as they are.
    private static func emptied(_ name: String, _ open: Character, _ close: Character) -> String {
        if name.contains("operator") { return name }
        var result = ""
        var depth = 0
        var previous: Character = " "
        for character in name {
            let arrow = close == ">" && previous == "-"
            if character == open {
                if depth == 0 { result.append(open) }
                depth += 1
            } else if character == close, !arrow {
                depth -= 1
                if depth < 0 { return name }
                if depth == 0 {
                    if previous != open { result.append("…") }
                    result.append(close)
                }
            } else if depth == 0 {
                result.append(character)
            }
            previous = character
        }
        return depth == 0 ? result : name
    }
}
