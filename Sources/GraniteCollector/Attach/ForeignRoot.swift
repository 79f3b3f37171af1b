// Finds the files of a process that sees another file system than we do, one in a container mostly: below /proc/PID/root, as long as it
// lives. Its report names them as the process does.

import Glibc
import GraniteReport

struct ForeignRoot: Sendable {
    /// `/proc/4711/root`.
    let prefix: String

    /// nil if the process sees the same files.
    init?(pid: Int32) {
        guard let its = Self.namespace(of: "\(pid)"), let ours = Self.namespace(of: "self"), its != ours else {
            return nil
        }
        prefix = "/proc/\(pid)/root"
    }

    /// The same map with paths that can be opened here.
    func reachable(_ map: MemoryMap) -> MemoryMap {
        MemoryMap(
            map.mappings.map { mapping in
                guard mapping.isFile, !mapping.path.hasPrefix("/memfd:") else { return mapping }
                var mapping = mapping
                mapping.path = prefix + mapping.path
                return mapping
            })
    }

    /// The report with the paths of the process.
    func named(_ report: CrashReport) -> CrashReport {
        var report = report
        report.modules = report.modules?.map { module in
            var module = module
            module.path = module.path.map(own)
            return module
        }
        report.threads = report.threads?.map { thread in
            var thread = thread
            thread.frames = thread.frames?.map { frame in
                var frame = frame
                frame.module = frame.module.map(own)
                return frame
            }
            return thread
        }
        return report
    }

    private func own(_ path: String) -> String {
        path.hasPrefix(prefix + "/") ? String(path.dropFirst(prefix.count)) : path
    }

    private static func namespace(of process: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink("/proc/\(process)/ns/mnt", $0, bytes.count) } ?? -1
        }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
