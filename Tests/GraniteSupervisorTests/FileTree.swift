// A recorded piece of /proc and /sys, so that every cgroup layout is tested on every machine.

import Foundation
import TestSupport

/// Files below a temporary directory that stands for `/`.
final class FileTree {
    private let folder: TemporaryDirectory
    var root: String { folder.file("root").path }

    init(_ files: [String: String]) throws {
        folder = try TemporaryDirectory()
        for (path, text) in files { try write(path, text) }
    }

    func write(_ path: String, _ text: String) throws {
        let file = URL(fileURLWithPath: root + path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: false, encoding: .utf8)
    }

    func append(_ path: String, _ text: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: root + path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }

    func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: root + path) }

    static let v2Mount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    static let v1Mount = "33 25 0:29 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"

    /// A worker 4711 in a service's cgroup with a limit, on a machine with version 2 alone.
    static func v2(oomKills: Int = 0) throws -> FileTree {
        let service = "/sys/fs/cgroup/system.slice/granite.service"
        return try FileTree([
            "/proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + v2Mount,
            "/proc/4711/cgroup": "0::/system.slice/granite.service\n",
            "/proc/vmstat": "nr_free_pages 7\noom_kill 3\n",
            "\(service)/memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill \(oomKills)\noom_group_kill 0\n",
            "\(service)/memory.max": "max\n", "\(service)/memory.peak": "268435456\n",
            "\(service)/memory.current": "1048576\n",
            "/sys/fs/cgroup/system.slice/memory.max": "536870912\n",
            "/sys/fs/cgroup/system.slice/memory.events": "max 0\noom_kill 99\n",
        ])
    }
}
