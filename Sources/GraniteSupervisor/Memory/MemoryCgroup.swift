// Finds the memory cgroup of a process and reads its files. It is separate from the question who was killed, so that v1, v2, hybrid and
// container layouts are tested from recorded file trees.

import GraniteLinux
package import GraniteReport

/// The memory cgroup of one process (cgroups(7)); one of version 1 where the memory controller is there, else of version 2.
package struct MemoryCgroup: Sendable, Equatable {
    package enum Version: Int, Sendable { case one = 1, two }

    package let version: Version
    /// Relative to the hierarchy's root.
    package let path: String
    /// Where its files are, the deepest first: its own directory, then those above it that are visible.
    let directories: [String]

    /// The directory whose `oom_kill` counter is this cgroup's: its own, or the nearest above that has one (v2 counts its
    /// descendants' victims too; v1 does not).
    let counter: String

    /// Finds the cgroup that a process is in now; nil if it has none whose counter can be read.
    ///
    /// - Parameters:
    ///   - process: a pid, or `self`.
    ///   - root: stands for `/`; empty but in tests.
    package static func find(process: String, root: String = "") -> MemoryCgroup? {
        guard let cgroups = SmallFile.text(at: "\(root)/proc/\(process)/cgroup"),
            let mounts = SmallFile.text(at: "\(root)/proc/self/mountinfo")
        else { return nil }
        let lines = cgroups.split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }.filter { $0.count == 3 }
        for version in [Version.one, .two] {
            let line = lines.first {
                version == .one ? $0[1].split(separator: ",").contains("memory") : $0[0] == "0" && $0[1].isEmpty
            }
            guard let line else { continue }
            for mount in Mount.list(mounts, version) {
                let directories = mount.directories(of: String(line[2])).map { root + $0 }
                let candidates = version == .one ? directories.prefix(1) : directories[...]
                guard
                    let counter = candidates.first(where: {
                        oomKills(in: $0, version, isOwn: $0 == directories.first) != nil
                    })
                else { continue }
                return MemoryCgroup(
                    version: version, path: String(line[2]), directories: directories, counter: counter)
            }
        }
        return nil
    }

    /// The counter now: it only rises. nil if the cgroup is gone.
    func oomKills() -> Int? { Self.oomKills(in: counter, version, isOwn: counter == directories.first) }

    /// What its files say now. How far the counter moved is the caller's to fill in.
    package func reading() -> CgroupMemory {
        var memory = CgroupMemory()
        memory.path = path
        memory.version = version.rawValue
        let own = counter
        switch version {
        case .one:
            memory.limitBytes = directories.compactMap { Self.number("\($0)/memory.limit_in_bytes") }.min().flatMap {
                // Without a limit it is PAGE_COUNTER_MAX, the largest multiple of a page.
                $0 >= UInt64(Int64.max) - 65_535 ? nil : $0
            }
            memory.peakBytes = Self.number("\(own)/memory.max_usage_in_bytes")
            memory.currentBytes = Self.number("\(own)/memory.usage_in_bytes")
            memory.limitHits = Self.number("\(own)/memory.failcnt")
        case .two:
            memory.limitBytes = directories.compactMap { Self.number("\($0)/memory.max") }.min()  // "max" is no number
            memory.peakBytes = Self.number("\(own)/memory.peak")
            memory.currentBytes = Self.number("\(own)/memory.current")
            memory.limitHits = SmallFile.text(at: "\(own)/memory.events").flatMap { SmallFile.value("max", in: $0) }
        }
        return memory
    }

    private static func oomKills(in directory: String, _ version: Version, isOwn: Bool) -> Int? {
        // Version 2 adds up what happened below, in a cgroup that a child was put into; Linux 5.2 counts the own victims alone, too.
        let names =
            version == .one
            ? ["memory.oom_control"] : isOwn ? ["memory.events.local", "memory.events"] : ["memory.events"]
        for name in names {
            if let text = SmallFile.text(at: "\(directory)/\(name)"), let count = SmallFile.value("oom_kill", in: text)
            {
                return Int(clamping: count)
            }
        }
        return nil
    }

    private static func number(_ path: String) -> UInt64? {
        SmallFile.text(at: path).flatMap { UInt64($0.prefix { $0 != "\n" }) }
    }
}

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)) that mounts a cgroup hierarchy.
private struct Mount {
    /// The part of the hierarchy that is visible.
    var root: String
    var point: String

    static func list(_ text: String, _ version: MemoryCgroup.Version) -> [Mount] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), words.count > dash + 3, dash > 5 else { return nil }
            let isRight =
                version == .one
                ? words[dash + 1] == "cgroup" && words[dash + 3].split(separator: ",").contains("memory")
                : words[dash + 1] == "cgroup2"
            return isRight ? Mount(root: String(words[3]), point: String(words[4])) : nil
        }
    }

    /// Where the cgroup's files are, then those of each one above it, down to the mount point.
    func directories(of path: String) -> [String] {
        let base = root == "/" ? "" : root
        // In a container the path may be the host's while only the own part is mounted; what lies above it is not visible.
        let isBelow = path == base || path.hasPrefix(base + "/")
        var parts = isBelow ? path.dropFirst(base.count).split(separator: "/") : []
        if parts.contains("..") { parts = [] }
        var directories: [String] = []
        while true {
            directories.append(point + parts.map { "/\($0)" }.joined())
            guard !parts.isEmpty else { return directories }
            parts.removeLast()
        }
    }
}
