// Reads how often the kernel's OOM killer struck in our cgroup: the only witness that tells an OOM kill from a kill -9.

import Glibc

/// The `oom_kill` counter of this process's memory cgroup, v2 or v1.
package struct OOMCounter: Sendable {
    private let path: String?
    private var last: Int?

    /// Finds the counter by /proc/self/cgroup (cgroups(7)); without one every reading is nil.
    init() {
        path = Self.locate(cgroup: Self.read("/proc/self/cgroup") ?? "")
            .first { Self.read($0).flatMap { Self.count(in: $0) } != nil }
        last = path.flatMap { Self.read($0) }.flatMap { Self.count(in: $0) }
    }

    /// How far the counter moved since the last call; nil if it cannot be read.
    mutating func advance() -> Int? {
        guard let path, let count = Self.read(path).flatMap({ Self.count(in: $0) }) else { return nil }
        defer { last = count }
        return last.map { max(0, count - $0) }
    }

    /// Where the counter may be, the most telling first. In a container the own cgroup's path is often not visible: its root is then.
    package static func locate(cgroup: String) -> [String] {
        var paths: [String] = []
        for line in cgroup.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let own = parts[2] == "/" ? "" : parts[2]
            if parts[1].split(separator: ",").contains("memory") {
                paths += ["/sys/fs/cgroup/memory\(own)/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control"]
            } else if parts[1].isEmpty {
                paths += ["/sys/fs/cgroup\(own)/memory.events", "/sys/fs/cgroup/memory.events"]
            }
        }
        return paths
    }

    /// The number after `oom_kill` in memory.events (v2) or memory.oom_control (v1).
    package static func count(in text: String) -> Int? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "oom_kill" { return Int(words[1]) }
        }
        return nil
    }

    private static func read(_ path: String) -> String? { SmallFile.text(at: path) }
}

/// Files of /proc and /sys: a few lines, read at once.
package enum SmallFile {
    /// The first 16 KiB of a file; nil if it cannot be read.
    package static func text(at path: String) -> String? {
        let number = open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return nil }
        defer { close(number) }
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
            let result = Glibc.read(number, buffer.baseAddress, buffer.count)
            failed = result < 0
            count = max(0, result)
        }
        return failed ? nil : String(decoding: bytes, as: UTF8.self)
    }
}
