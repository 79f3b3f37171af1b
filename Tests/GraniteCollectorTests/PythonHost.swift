// Starts PythonFixtures/host.py, which builds a known stack and says what the interpreter itself thinks of it.

import Foundation
import GraniteCollector
import TestSupport
import Testing

/// A stopped Python process and the truth about its threads.
struct PythonHost {
    struct Truth: Decodable {
        struct Thread: Decodable {
            var ident: UInt64
            var native: Int
            var frames: [Frame]
        }
        struct Frame: Decodable, Equatable {
            var file: String
            var name: String
            var line: Int?
        }
        var runtime: UInt64
        var version: UInt32
        /// The thread that printed this. It is not among the threads, as it still moved.
        var teller: UInt64
        var threads: [Thread]
    }

    let command: Command
    let truth: Truth
    var pid: pid_t { command.pid }

    init(_ python: PythonInstallation, _ scenario: String, threads: Int = 1) async throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "PythonFixtures/host.py")
        let command = try Command(python.executable, ["-I", "-B", script.path, scenario, String(threads)])
        let told = await Command.eventually(limit: 60) { command.standardOutput.hasSuffix("\n") || !command.isRunning }
        try #require(told && command.isRunning, "host.py \(scenario): \(command.standardError)")
        truth = try JSONDecoder().decode(Truth.self, from: Data(command.standardOutput.utf8))
        self.command = command
        try await stop()
    }

    /// Returns when all its threads stand still.
    func stop() async throws {
        let pid = command.pid
        command.send(signal: SIGSTOP)
        let stopped = await Command.eventually {
            let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            return stat?.split(separator: ")").last?.hasPrefix(" T") == true
        }
        try #require(stopped)
    }

    func read(from memory: (any RemoteMemory)? = nil, crashed: UInt64? = nil, withLocals: Bool = false) throws
        -> PythonSnapshot
    {
        try PythonStackReader(
            runtime: truth.runtime, versionHex: truth.version, crashed: crashed, withLocals: withLocals
        ).read(
            from: memory ?? ProcessMemory(pid: pid))
    }

    /// Ends the process; call it last, or the next test has less of the machine.
    func end() async {
        command.send(signal: SIGKILL)
        _ = await command.wait()
    }
}

/// The memory of a live process, by /proc/PID/mem.
final class ProcessMemory: RemoteMemory {
    private let descriptor: Int32

    init(pid: pid_t) throws {
        descriptor = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
    }

    deinit { close(descriptor) }

    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        ranges.map { range in
            guard let offset = off_t(exactly: range.address), (1...65536).contains(range.length) else { return nil }
            var bytes = [UInt8](repeating: 0, count: range.length)
            return pread(descriptor, &bytes, range.length, offset) == range.length ? bytes : nil
        }
    }
}

extension PythonThread {
    /// The frames as sys._current_frames() has them: without shims, long names cut.
    var visible: [PythonHost.Truth.Frame] {
        frames.filter { !$0.isShim }.map { .init(file: $0.file, name: $0.name, line: $0.line) }
    }
}

extension PythonHost.Truth.Thread {
    /// The frames as the reader may tell them.
    var expected: [PythonHost.Truth.Frame] {
        frames.prefix(4096).map { frame in
            var frame = frame
            if frame.name.utf8.count > 4096 { frame.name = String(frame.name.prefix(4096)) + "…" }
            return frame
        }
    }
}
