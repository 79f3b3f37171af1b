// Reads the lines of source around a frame. File names come from foreign debug information and from a foreign heap, so only regular
// files are read, and only so much of them.

package import GraniteReport
import Glibc

package struct SourceReader {
    /// Lines before and after the one in question.
    static let context = 2
    static let maxFileBytes = 4 << 20
    static let maxLineCharacters = 2000
    static let maxFiles = 256

    private var files: [String: [Substring.UTF8View]?] = [:]

    package init() {}

    /// Up to five lines around `line` (from 1), or nil if the file cannot be read or is shorter.
    package mutating func excerpt(of file: String, around line: Int) -> [Frame.SourceLine]? {
        guard line > 0, let lines = lines(of: file), line <= lines.count else { return nil }
        let first = max(1, line - Self.context)
        let last = min(lines.count, line + Self.context)
        return (first...last).map { number in
            let text = String(Substring(lines[number - 1]).prefix(Self.maxLineCharacters))
            return Frame.SourceLine(line: number, text: text.hasSuffix("\r") ? String(text.dropLast()) : text)
        }
    }

    private mutating func lines(of file: String) -> [Substring.UTF8View]? {
        if let known = files[file] { return known }
        guard files.count < Self.maxFiles, file.hasPrefix("/") else { return nil }
        let lines = Self.readFile(file).map { text in
            text.split(separator: "\n", omittingEmptySubsequences: false).map(\.utf8)
        }
        files[file] = .some(lines)
        return lines
    }

    /// The text of a regular file of at most `maxFileBytes`. O_NONBLOCK: the open of a FIFO must not wait (open(2)).
    private static func readFile(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= maxFileBytes else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress?.advanced(by: filled), $0.count - filled) }
            guard count > 0 else { break }
            filled += count
        }
        return String(decoding: bytes[..<filled], as: UTF8.self)
    }
}
