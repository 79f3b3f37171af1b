// Reads small files of the kernel's. It is separate because cores, cgroups, counters and states of processes are all read so.

import Glibc

/// Files of /proc and /sys: a few lines, read at once.
package enum SmallFile {
    /// The first bytes of a file; nil if it cannot be read.
    ///
    /// - Parameter limit: bytes; a container's mount table is longer than most.
    package static func text(at path: String, limit: Int = 256 << 10) -> String? {
        let number = open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return nil }
        defer { close(number) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 8192)
        while bytes.count < limit {
            // Files of /proc come in parts of about a page, however much is asked for.
            let count = Glibc.read(number, &chunk, min(chunk.count, limit - bytes.count))
            if count < 0 && errno == EINTR { continue }
            if count < 0 { return nil }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The number after a name in the text of a file of `name value` lines.
    package static func value(_ name: String, in text: String) -> UInt64? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == name { return UInt64(words[1]) }
        }
        return nil
    }
}
