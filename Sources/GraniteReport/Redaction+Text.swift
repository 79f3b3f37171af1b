// Defines how secrets are found in a text of any kind: a target, a log line, source code, a repr() or JSON. Separate, because it is a scanner,
// while Redaction says where a report holds such texts and which names are secret.

extension Redaction {
    /// Any text: values after `name=`, `name: ` and `"name": ` whose name is a secret's, quoted or not, what follows `Bearer` and `Basic`,
    /// and passwords in `scheme://user:password@host`.
    package static func text(_ text: String) -> String {
        var scan = SecretScan(text)
        return scan.redacted()
    }
}

/// One pass over a text. Its time is linear, whatever the text is.
private struct SecretScan {
    private var rest: Substring
    private var result = ""
    /// Letters, digits, - and _ right before the current position, or with only spaces and closing quotes between.
    private var name = ""
    private var nameLength = 0
    private var nameHasEnded = false
    private var nameIsQuoted = false

    private static let maxNameLength = 256

    init(_ text: String) { rest = text[...] }

    mutating func redacted() -> String {
        while let character = rest.popFirst() {
            result.append(character)
            if character.isLetter || character.isNumber || character == "-" || character == "_" {
                if nameHasEnded { forgetName() }
                // Of a longer one only the beginning counts, so that looking at it takes no time.
                if nameLength < Self.maxNameLength { name.append(character) }
                nameLength += 1
                continue
            }
            switch character {
            case " ", "\t":
                if !nameHasEnded, isScheme { redactCredentials() } else { nameHasEnded = true }
            case "'", "\"":
                nameIsQuoted = !name.isEmpty
                nameHasEnded = true
            // Of an escaped quote.
            case "\\": nameHasEnded = true
            case ":" where rest.hasPrefix("//"): redactPassword()
            case ":" where rest.hasPrefix(" ") && !nameHasEnded && Redaction.isHeader(name):
                result += " " + Redaction.mark
                rest = rest[rest.prefix { !"\n\"'".contains($0) }.endIndex...]
                forgetName()
            case "=", ":": redactValue(after: character)
            default: forgetName()
            }
        }
        return result
    }

    private mutating func forgetName() {
        name = ""
        nameLength = 0
        nameHasEnded = false
        nameIsQuoted = false
    }

    /// Moves the next characters to the result as they are.
    private mutating func keep(while isKept: (Character) -> Bool) {
        let kept = rest.prefix(while: isKept)
        result += kept
        rest = rest[kept.endIndex...]
    }

    /// Behind a `=` or `:`.
    private mutating func redactValue(after separator: Character) {
        let isTight = separator == "=" && !nameHasEnded
        keep { $0 == "=" || $0 == ">" }
        let blanks = rest.prefix { $0 == " " || $0 == "\t" }
        let value = rest[blanks.endIndex...]
        let prefix = value.prefix { "bBrRuUfF".contains($0) }
        let slashes = value[prefix.endIndex...].prefix { $0 == "\\" }
        let opening = value[slashes.endIndex...].first
        let isQuoted = (opening == "'" || opening == "\"") && prefix.utf8.count <= 2
        guard !name.isEmpty, isSecret(isTight: isTight, separator, isQuoted) else { return forgetName() }
        result += blanks
        rest = value
        if isQuoted, let opening {
            result += prefix + slashes + String(opening)
            rest = rest[slashes.endIndex...].dropFirst()
            redactQuoted(opening, slashes: slashes.count)
            return forgetName()
        }
        if value.hasPrefix(Redaction.mark) {
            result += Redaction.mark
            rest = rest.dropFirst(Redaction.mark.count)
            return forgetName()
        }
        var bare = rest.prefix { !"&; ,\"'\n\\".contains($0) }
        let isOpened = bare.last.map { "([{".contains($0) } ?? false
        while let last = bare.last, ")]}".contains(last) { bare.removeLast() }
        rest = rest[bare.endIndex...]
        if !bare.isEmpty { result += Redaction.mark }
        if isOpened, let quote = rest.first, quote == "'" || quote == "\"" {
            // `SecretStr('x')`: what is in it is the secret, too.
            rest = rest.dropFirst()
            let end = Self.end(of: rest, quote, slashes: 0)
            rest = rest[end...].dropFirst()
        }
        let lower = bare.lowercased()
        if (lower == "bearer" || lower == "basic"), rest.hasPrefix(" ") {
            rest = rest.dropFirst()
            rest = rest[rest.prefix { !" ,;\"'\n".contains($0) }.endIndex...]
        }
        // `password: str = 'x'`: the name goes on to be one.
        if separator == ":", !bare.isEmpty { nameHasEnded = true } else { forgetName() }
    }

    /// Prose and code use the names of secrets for other things as well; what looks like data is more likely one.
    private func isSecret(isTight: Bool, _ separator: Character, _ valueIsQuoted: Bool) -> Bool {
        // `KeyError: 'x'`
        if name.hasSuffix("Error") || name.hasSuffix("Exception") || name.hasSuffix("Warning") { return false }
        if nameIsQuoted || (valueIsQuoted && separator == "=") { return Redaction.isSecretName(name) }
        // `Duplicate values for key: 'a'`
        return isTight ? Redaction.isSecret(name[...]) : Redaction.isUnmistakable(name[...])
    }

    /// Behind the opening quote: up to the closing one, or to the end of the line if there is none.
    private mutating func redactQuoted(_ quote: Character, slashes: Int) {
        let end = Self.end(of: rest, quote, slashes: slashes)
        if end > rest.startIndex { result += Redaction.mark }
        rest = rest[end...]
        // The quote itself, with the backslashes that belong to it.
        if rest.first != "\n" { keep { $0 == "\\" } }
        if let closing = rest.popFirst() { result.append(closing) }
    }

    /// Where a quoted text ends: before the quote that no further backslash escapes, and before its own `slashes` (of a text within a text).
    private static func end(of text: Substring, _ quote: Character, slashes: Int) -> Substring.Index {
        var index = text.startIndex
        var run = 0
        var runStart = index
        while index < text.endIndex, text[index] != "\n" {
            if text[index] == "\\" {
                if run == 0 { runStart = index }
                run += 1
            } else {
                // Unescaped: as many backslashes as before the opening quote; in a plain text, each pair is one of the text.
                if text[index] == quote {
                    if slashes == 0, run % 2 == 0 { return index }
                    if slashes > 0, run <= slashes { return run == 0 ? index : runStart }
                }
                run = 0
            }
            index = text.index(after: index)
        }
        return index
    }

    /// Whether the word before is that of HTTP's two common schemes (RFC 7617, RFC 6750).
    private var isScheme: Bool { nameLength < 7 && ["bearer", "basic"].contains(name.lowercased()) }

    /// Behind `Bearer ` or `Basic `.
    private mutating func redactCredentials() {
        let isBasic = nameLength == 5
        forgetName()
        let word = rest.prefix { !" ,;:\"'\n\\)".contains($0) }
        // "Basic authentication": base64 has capitals or digits.
        let isProse =
            isBasic
            ? !word.dropFirst().contains { $0.isUppercase || $0.isNumber || $0 == "=" }
                || word.lowercased().hasPrefix("realm=")
            : ["token", "tokens", "auth", "authentication", "authorization"].contains(word.lowercased())
        guard !word.isEmpty, !isProse, word != Redaction.mark else { return }
        result += Redaction.mark
        rest = rest[word.endIndex...]
    }

    /// Behind the colon of `://`.
    private mutating func redactPassword() {
        forgetName()
        let authority = rest.dropFirst(2).prefix { !"/?# \n\"'".contains($0) }
        guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else { return }
        result += "//" + authority[..<colon] + ":" + Redaction.mark
        rest = rest[at...]
    }
}
