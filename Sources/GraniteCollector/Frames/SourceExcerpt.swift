// Reads the lines of source around a frame. File names come from foreign debug information and from a foreign heap, so only regular
// files are read, and only so much of them.

package import GraniteReport
import GraniteSymbols

package struct SourceReader {
    /// Lines before and after the one in question.
    static let context = 2
    static let maxFileBytes = 4 << 20
    static let maxLineCharacters = 2000
    static let maxFiles = 256

    /// Lines by file; empty for a file that cannot be read.
    private var files: [String: [ArraySlice<UInt8>]] = [:]

    package init() {}

    /// Up to five lines around `line` (from 1), or nil if the file cannot be read or is shorter.
    package mutating func excerpt(of file: String, around line: Int) -> [Frame.SourceLine]? {
        guard line > 0, file.hasPrefix("/") else { return nil }
        let lines = lines(of: file)
        guard line <= lines.count else { return nil }
        return (max(1, line - Self.context)...min(lines.count, line + Self.context)).map { number in
            var text = lines[number - 1].prefix(4 * Self.maxLineCharacters)
            if text.last == UInt8(ascii: "\r") { text = text.dropLast() }
            return Frame.SourceLine(
                line: number, text: String(String(decoding: text, as: UTF8.self).prefix(Self.maxLineCharacters)))
        }
    }

    private mutating func lines(of file: String) -> [ArraySlice<UInt8>] {
        if let known = files[file] { return known }
        guard files.count < Self.maxFiles else { return [] }
        let bytes = RegularFile.contents(file, limit: Self.maxFileBytes)
        let lines = bytes?.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) ?? []
        files[file] = lines
        return lines
    }
}
