// Defines how a function's name is cut to a column without losing which function it is: first what the compiler can say twice goes
// (results, types of arguments, modules), and only then letters in the middle.

import GraniteReport

enum SymbolText {
    /// The name in at most `limit` columns.
    static func fitted(_ symbol: String, columns limit: Int) -> String {
        var name = symbol
        for shorten in [withoutResult, labelsOnly, withoutTypeArguments, withoutModule, withoutArguments] {
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

    /// `call(_:environ:)` of Swift's `call(_: Request, environ: [String: Int])`; other languages' arguments have no labels and stay.
    private static func labelsOnly(_ name: String) -> String {
        guard let open = name.firstIndex(of: "("), let close = closing(name), open < close else { return name }
        var labels = ""
        var label = ""
        var depth = 0
        for index in name.indices[name.index(after: open)..<close] {
            let character = name[index]
            if "([<{".contains(character) { depth += 1 }
            if ")]>}".contains(character) { depth -= 1 }
            if depth == 0, character == ":" {
                // `std::string` has no space behind its colon.
                guard name[name.index(after: index)...].hasPrefix(" "), !label.isEmpty, label.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" }) else { return name }
                labels += label + ":"
                depth = .min / 2  // the type, up to the comma at this depth
            } else if depth == .min / 2, character == "," {
                depth = 0
                label = ""
            } else if depth == 0, character != " " {
                label.append(character)
            }
        }
        return labels.isEmpty ? name : name[...open] + labels + name[close...]
    }

    /// `WSGIApplication.call(_:)` of Swift's `GraniteWSGI.WSGIApplication.call(_:)`; of a name with one dot, both parts stay.
    private static func withoutModule(_ name: String) -> String {
        let path = name.prefix { $0 != "(" && $0 != "<" && $0 != " " }
        let parts = path.split(separator: ".")
        return parts.count > 2 ? parts.dropFirst().joined(separator: ".") + name.dropFirst(path.count) : name
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
