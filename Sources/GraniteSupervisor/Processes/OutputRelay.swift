// Reads a child's stderr: passes whole lines on and keeps the last ones for its crash report.

import Glibc
import GraniteLinux

/// The last lines of a stream, bounded in number and bytes.
package struct LogTail: Sendable, Equatable {
    package static let maxLines = 50
    /// UTF-8, newlines not counted; one longer line is kept all the same.
    package static let maxBytes = 16 * 1024

    /// Oldest first.
    package private(set) var lines: [String] = []
    private var bytes = 0

    package init() {}

    /// Adds a line and forgets the oldest beyond the bounds.
    package mutating func append(_ line: String) {
        lines.append(line)
        bytes += line.utf8.count
        while lines.count > Self.maxLines || (bytes > Self.maxBytes && lines.count > 1) {
            bytes -= lines.removeFirst().utf8.count
        }
    }
}

/// Cuts a byte stream into lines. A line longer than the tail could hold is cut.
struct LineSplitter: Sendable {
    private var partial: [UInt8] = []

    /// Adds bytes and returns the lines that are complete now, without their newlines.
    mutating func append(_ bytes: some Collection<UInt8>) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let room = LogTail.maxBytes - partial.count
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            if rest.distance(from: rest.startIndex, to: end) > room {
                let cut = rest.index(rest.startIndex, offsetBy: room)
                lines.append(partial + rest[..<cut])
                partial = []
                rest = rest[cut...]
            } else if end < rest.endIndex {
                lines.append(partial + rest[..<end])
                partial = []
                rest = rest[rest.index(after: end)...]
            } else {
                partial += rest
                rest = rest[end...]
            }
        }
        return lines
    }

    /// What came after the last newline, at the end of the stream.
    mutating func finish() -> [UInt8]? {
        defer { partial = [] }
        return partial.isEmpty ? nil : partial
    }
}

/// One child's stderr.
struct OutputRelay {
    let descriptor: Descriptor
    private var splitter = LineSplitter()
    private(set) var tail = LogTail()

    init(descriptor: Descriptor) { self.descriptor = descriptor }

    /// Reads what is there, at most `chunks` times 64 KiB, so that one chatty child cannot hold up the others.
    ///
    /// - Returns: complete lines as bytes, and whether the stream has ended.
    mutating func read(chunks: Int = 1) -> (lines: [[UInt8]], ended: Bool) {
        var lines: [[UInt8]] = []
        var ended = false
        var remaining = chunks
        while remaining > 0 && !ended {
            let chunk = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                let result = Glibc.read(descriptor.number, buffer.baseAddress, buffer.count)
                count = max(0, result)
                if result == 0 || (result < 0 && errno != EAGAIN && errno != EINTR) { ended = true }
                if result <= 0 && errno != EINTR { remaining = 1 }
            }
            lines += splitter.append(chunk)
            remaining -= 1
        }
        if ended, let last = splitter.finish() { lines.append(last) }
        for line in lines { tail.append(String(decoding: line, as: UTF8.self)) }
        return (lines, ended)
    }

    /// What the child wrote last without a newline. Call after its death.
    mutating func finish() -> [UInt8]? {
        guard let last = splitter.finish() else { return nil }
        tail.append(String(decoding: last, as: UTF8.self))
        return last
    }
}
