// Reads what /proc tells about a worker while it lives (proc(5)): its command line, executable, working directory and cgroup.

import Glibc
import GraniteReport
import GraniteSymbols

/// Read when the worker is handed over, because a killed one leaves no /proc entry.
struct ProcessFacts: Sendable, Equatable {
    static let maxArguments = 256

    var argv: [String] = []
    var executable: String?
    var directory: String?
    var cgroup: String?

    init() {}

    init(pid: Int32) {
        guard pid > 0 else { return }
        let folder = "/proc/\(pid)"
        if let bytes = RegularFile.contents(folder + "/cmdline", limit: 64 << 10) {
            argv = bytes.split(separator: 0, maxSplits: Self.maxArguments).prefix(Self.maxArguments).map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        executable = Self.link(folder + "/exe")
        directory = Self.link(folder + "/cwd")
        // cgroups(7): "0::/system.slice/…" is the unified hierarchy.
        if let bytes = RegularFile.contents(folder + "/cgroup", limit: 16 << 10) {
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            cgroup = lines.first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) }
        }
    }

    /// The facts as they are now, if the process is still there to tell.
    func refreshed(pid: Int32) -> ProcessFacts {
        let now = ProcessFacts(pid: pid)
        return now.executable == nil ? self : now
    }

    private static func link(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink(path, $0, bytes.count) } ?? -1
        }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
