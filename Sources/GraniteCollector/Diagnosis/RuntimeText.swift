// Finds what a language's runtime wrote on stderr right before it ended the program. Foreign text: bounded here, cleaned where it is shown.
// Pure.

/// The last words of a runtime.
struct RuntimeText: Equatable, Sendable {
    var source: Source
    /// The message itself, without the runtime's preamble; at most `maxCharacters`.
    var message: String
    /// Where the program stood, `src/lib.rs:10:5`, if the text says so.
    var location: String?
    /// The type of a C++ exception.
    var type: String?
    /// The line as it was written.
    var line: String

    enum Source: Sendable { case rust, cxx, cxxPureVirtual, swift, python, glibc, assertion }

    static let maxCharacters = 600
    static let maxLines = 200

    /// The last such text of a log that `isBelieved`.
    static func last(in lines: [String], where isBelieved: (RuntimeText) -> Bool = { _ in true }) -> RuntimeText? {
        let lines = lines.suffix(maxLines).map { String($0.prefix(maxCharacters)) }
        for index in lines.indices.reversed() {
            if let text = rust(lines, index) ?? cxx(lines, index) ?? swift(lines[index]) ?? other(lines[index]),
                isBelieved(text)
            {
                return text
            }
        }
        return nil
    }

    /// `thread 'main' (17) panicked at src/lib.rs:10:5:` and the message below it; before Rust 1.73 `panicked at 'message', src/lib.rs:10:5`.
    private static func rust(_ lines: [String], _ index: Int) -> RuntimeText? {
        let line = lines[index]
        guard line.hasPrefix("thread '"), let panicked = range(of: "panicked at ", in: line) else { return nil }
        let rest = line[panicked.upperBound...]
        if rest.hasPrefix("'") {
            let words = rest.dropFirst()
            guard let end = words.lastIndex(of: "'") else { return nil }
            let place = words[end...].dropFirst(3)
            return RuntimeText(
                source: .rust, message: String(words[..<end]), location: place.isEmpty ? nil : String(place), line: line
            )
        }
        var message: [String] = []
        for next in lines[(index + 1)...].prefix(8) {
            if next.hasPrefix("note: ") || next.hasPrefix("stack backtrace:") || next.hasPrefix("fatal runtime error:")
                || next.hasPrefix("thread '") || next.isEmpty
            {
                break
            }
            message.append(next)
        }
        return RuntimeText(
            source: .rust, message: String(message.joined(separator: " ").prefix(maxCharacters)),
            location: String(rest.hasSuffix(":") ? rest.dropLast() : rest), line: line)
    }

    /// libstdc++ (vterminate.cc, pure.cc) and libc++abi.
    private static func cxx(_ lines: [String], _ index: Int) -> RuntimeText? {
        let line = lines[index]
        if line.hasPrefix("pure virtual method called") || line.contains("Pure virtual function called!") {
            return RuntimeText(source: .cxxPureVirtual, message: Wording.trimmed(line), line: line)
        }
        let thrown = "terminate called after throwing an instance of '"
        if line.hasPrefix(thrown) {
            let type = line.dropFirst(thrown.count).prefix { $0 != "'" }
            var what = ""
            if index + 1 < lines.count, let found = range(of: "what():", in: lines[index + 1]) {
                what = Wording.trimmed(lines[index + 1][found.upperBound...])
            }
            return RuntimeText(source: .cxx, message: what, type: String(type), line: line)
        }
        let uncaught = "libc++abi: terminating due to uncaught exception of type "
        if line.hasPrefix(uncaught) {
            let parts = line.dropFirst(uncaught.count).split(separator: ": ", maxSplits: 1)
            return RuntimeText(
                source: .cxx, message: parts.count > 1 ? String(parts[1]) : "", type: parts.first.map(String.init),
                line: line)
        }
        guard line.hasPrefix("terminate called without an active exception") else { return nil }
        if index > 0, let pure = cxx(lines, index - 1), pure.source == .cxxPureVirtual { return pure }
        return RuntimeText(source: .cxx, message: "", line: line)
    }

    /// The standard library's failures have the place in front, the runtime's have none (stdlib/public/stubs/Assert.cpp, runtime/Errors.cpp).
    static func swift(_ line: String) -> RuntimeText? {
        let starts = [
            "Fatal error", "Precondition failed", "Assertion failed: ", "Could not cast value of type ",
            "Simultaneous accesses to ", "Incorrect actor executor assumption", "Object 0x",
        ]
        for start in starts {
            guard let found = range(of: start, in: line) else { continue }
            let before = line[..<found.lowerBound]
            let isPlace = before.hasSuffix(": ") && before.contains(".swift:")
            guard before.isEmpty || isPlace else { continue }
            if start == "Object 0x", !line.contains(" deallocated with ") && !line.contains(" of class ") { continue }
            return RuntimeText(
                source: .swift, message: Wording.trimmed(line[found.lowerBound...]),
                location: isPlace ? String(before.dropLast(2)) : nil, line: line)
        }
        return nil
    }

    private static func other(_ line: String) -> RuntimeText? {
        let text = Wording.trimmed(line)
        if text.hasPrefix("Fatal Python error:") { return RuntimeText(source: .python, message: text, line: line) }
        if let found = assertion(text) { return found }
        if text.contains("*** stack smashing detected") || text.contains("*** buffer overflow detected")
            || AbortRule.isHeapCorruption(text)
        {
            return RuntimeText(source: .glibc, message: text, line: line)
        }
        return nil
    }

    /// `program: file.c:10: function: Assertion `a > 0' failed.` (glibc, assert/assert.c)
    static func assertion(_ text: String) -> RuntimeText? {
        guard let start = range(of: "Assertion `", in: text),
            let end = range(of: "' failed", in: text[start.upperBound...])
        else { return nil }
        let parts = text[..<start.lowerBound].split(separator: ":").map { Wording.trimmed($0) }
        let file = parts.indices.dropFirst().first { Int(parts[$0]) != nil }.map {
            SourcePlace(parts[$0 - 1], parts[$0])
        }
        return RuntimeText(
            source: .assertion, message: String(text[start.upperBound..<end.lowerBound]), location: file?.text,
            line: text)
    }

    private struct SourcePlace {
        var text: String
        init(_ file: String, _ line: String) {
            let file = file.split(separator: " ").last.map(String.init) ?? file
            text = "\(file):\(line)"
        }
    }

    private static func range(of needle: String, in text: some StringProtocol) -> Range<String.Index>? {
        let (needle, bytes) = (Array(needle.utf8), text.utf8)
        var start = bytes.startIndex
        while let found = bytes[start...].firstIndex(of: needle[0]) {
            if bytes[found...].starts(with: needle) {
                return found..<bytes.index(found, offsetBy: needle.count)
            }
            start = bytes.index(after: found)
        }
        return nil
    }
}
