// Defines what of a foreign string may reach a terminal, and how wide it is there. A report holds request targets, repr()s and
// log lines, which anybody on the network may write: shown as they are, an escape sequence would drive the reader's terminal.

package enum TerminalText {
    /// The text with everything that a terminal would obey, or that would hide or reorder text, made visible instead: C0 controls
    /// as their pictures (␛, ␊; a tab as one space), other controls, bidirectional marks and invisible characters as `\u{202E}`.
    package static func neutralised(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x09: result.append(" ")
            case 0x00...0x1F: result.append(Unicode.Scalar(0x2400 + scalar.value) ?? "?")
            case 0x7F: result.append("\u{2421}")
            default:
                if isHarmful(scalar) {
                    result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16, uppercase: true))}".unicodeScalars)
                } else {
                    result.append(scalar)
                }
            }
        }
        return String(result)
    }

    /// Columns that the text takes in a terminal: 2 for wide characters, 0 for combining ones. Of a neutralised text.
    package static func columns(_ text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + columns($1) }
    }

    /// The longest beginning that takes at most `columns`.
    package static func prefix(_ text: String, columns limit: Int) -> String {
        String(prefix(text[...], columns: limit))
    }

    /// The same of a part, as a part of it: nothing is copied.
    package static func prefix(_ text: Substring, columns limit: Int) -> Substring {
        var used = 0
        return text.prefix {
            used += columns($0)
            return used <= limit
        }
    }

    /// The text itself, or its first `limit` Unicode scalars and `…`: what a stranger wrote may be of any length, what a person reads
    /// may not.
    package static func bounded(_ text: String, scalars limit: Int) -> String {
        let scalars = text.unicodeScalars
        guard let end = scalars.index(scalars.startIndex, offsetBy: limit, limitedBy: scalars.endIndex),
            end < scalars.endIndex
        else {
            return text
        }
        return String(scalars[..<end]) + "…"
    }

    /// The longest end that takes at most `columns`.
    package static func suffix(_ text: String, columns limit: Int) -> String {
        String(prefix(String(text.reversed()), columns: limit).reversed())
    }

    /// The text itself if it fits, else its beginning and `…`.
    package static func cutEnd(_ text: String, columns limit: Int) -> String {
        columns(text) <= limit ? text : prefix(text, columns: max(0, limit - 1)) + (limit > 0 ? "…" : "")
    }

    /// The text itself if it fits, else beginning, `…` and end: a path keeps its file, a name its last word.
    package static func cutMiddle(_ text: String, columns limit: Int) -> String {
        guard columns(text) > limit else { return text }
        guard limit > 2 else { return cutEnd(text, columns: limit) }
        let head = (limit - 1) / 3
        return prefix(text, columns: head) + "…" + suffix(text, columns: limit - 1 - head)
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x00...0x1F, 0x7F...0x9F: true
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator, zero width, marks, line and paragraph separators,
        // embeddings, isolates, invisible operators, byte order mark, interlinear annotation, tags.
        case 0xAD, 0x61C, 0x180E, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB,
            0xE0000...0xE007F:
            true
        default: false
        }
    }

    /// East Asian wide characters and emoji, by block (Unicode Standard Annex 11).
    private static func columns(_ character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        switch first.value {
        case 0x300...0x36F, 0xFE00...0xFE0F: return 0
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6,
            0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
