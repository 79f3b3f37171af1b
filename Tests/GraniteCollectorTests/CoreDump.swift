// Makes core dumps for tests: of a program that dies, by the kernel; of one that goes on, by gdb.

import Foundation
import TestSupport
import Testing

/// A file that goes with its folder.
struct CoreDump: Sendable {
    let folder: TemporaryDirectory
    let path: String

    /// Whether the kernel writes a core into the working directory: core_pattern is a plain name.
    static let isWrittenByKernel: Bool = {
        let pattern = (try? String(contentsOfFile: "/proc/sys/kernel/core_pattern", encoding: .utf8)) ?? "|"
        return !pattern.contains("|") && !pattern.contains("/") && pattern.hasPrefix("core")
    }()

    static let gcore = MatrixLibraries.find("gcore")

    /// Runs a program to its death, with no signal blocked.
    init(ofDyingProgram program: URL, _ arguments: [String]) async throws {
        let folder = try TemporaryDirectory()
        let status = try await FakeSupervisor.onThread {
            let pid = try ProbeProcess.spawn(
                "/bin/sh",
                ["-c", "cd \"$0\" && ulimit -c unlimited && exec \"$@\" 2>&1", folder.url.path, program.path]
                    + arguments,
                descriptors: [:])
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            return status
        }
        let name = try FileManager.default.contentsOfDirectory(atPath: folder.url.path).first { $0.hasPrefix("core") }
        path = folder.file(try #require(name, "no core; wait status \(status)")).path
        self.folder = folder
    }

    /// Of a running process, which goes on.
    init(ofProcess pid: Int32) async throws {
        folder = try TemporaryDirectory()
        let prefix = folder.file("core").path
        let run = try await Command.run(try #require(Self.gcore), ["-o", prefix, "\(pid)"])
        path = "\(prefix).\(pid)"
        try #require(FileManager.default.fileExists(atPath: path), "\(run.errors)")
    }
}
