// Reads how often the kernel's OOM killer struck: a process that it killed looks like one that somebody killed.

import Glibc

/// The counters of the guardian's own cgroup, which its run's processes share unless they move, and of the machine. Belongs to one thread.
struct OOMCounters {
    private let cgroupFile: String?
    private var cgroup: Int?
    private var system: Int?

    init() {
        let lines = (Self.text("/proc/self/cgroup") ?? "").split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }.filter { $0.count == 3 }
        if let line = lines.first(where: { $0[1].split(separator: ",").contains("memory") }) {
            cgroupFile = "/sys/fs/cgroup/memory\(line[2])/memory.oom_control"
        } else {
            cgroupFile = lines.first { $0[0] == "0" }.map { "/sys/fs/cgroup\($0[2])/memory.events" }
        }
        cgroup = cgroupFile.flatMap { Self.value("oom_kill", in: $0) }
        system = Self.value("oom_kill", in: "/proc/vmstat")
    }

    /// How far each has moved since it was asked last; nil if it cannot be read.
    mutating func moved() -> (cgroup: Int?, system: Int?) {
        let before = (cgroup, system)
        cgroup = cgroupFile.flatMap { Self.value("oom_kill", in: $0) }
        system = Self.value("oom_kill", in: "/proc/vmstat")
        return (Self.difference(before.0, cgroup), Self.difference(before.1, system))
    }

    private static func difference(_ before: Int?, _ now: Int?) -> Int? {
        guard let before, let now else { return nil }
        return max(0, now - before)
    }

    private static func value(_ name: String, in file: String) -> Int? {
        let line = text(file)?.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) }
    }

    private static func text(_ path: String) -> String? { SmallText.read(path, limit: 64 << 10) }
}
