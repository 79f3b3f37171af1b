// A `granite-crash run` of a test's own: its program, its news and its reports. Separate so that each test reads as a story.

import Foundation
import GraniteReport
import GraniteStore
import TestSupport

final class CrashRun: Sendable {
    let folder: TemporaryDirectory
    let command: Command

    static let executable = BuildProducts.executable("granite-crash")

    /// Runs `program` and keeps it running; ``finish(limit:)`` waits for its end.
    init(
        _ program: [String], options: [String] = [], environment: [String: String?] = [:],
        folder: TemporaryDirectory? = nil, directory: URL? = nil
    ) throws {
        self.folder = try folder ?? TemporaryDirectory()
        var variables: [String: String?] = [
            "GRANITE_CRASH_DIR": self.folder.file("crashes").path, "GRANITE_BACKTRACE": nil, "LD_PRELOAD": nil,
        ]
        variables.merge(environment) { $1 }
        command = try Self.start(
            [Self.executable.path, "run"] + options + ["--"] + program, environment: variables, directory: directory)
    }

    /// Starts a program with every signal open and at its default. The threads that run tests block most of them, and a mask is inherited.
    static func start(_ words: [String], environment: [String: String?] = [:], directory: URL? = nil) throws -> Command
    {
        let open = """
            import os, signal, sys
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execvp(sys.argv[1], sys.argv[1:])
            """
        return try Command(
            URL(fileURLWithPath: "/usr/bin/env"), ["python3", "-c", open] + words, environment: environment,
            directory: directory)
    }

    struct Result {
        var ending: Command.Ending
        var output: String
        /// Standard error, in which news are lines that begin with `granite-crash: `.
        var errors: String
        var reports: [CrashReport]
    }

    func finish(limit: Double = 60) async throws -> Result {
        let ending = await command.wait(limit: limit)
        return Result(
            ending: ending, output: command.standardOutput, errors: command.standardError, reports: try reports())
    }

    /// Oldest first.
    func reports() throws -> [CrashReport] { try Self.reports(in: folder) }

    /// Of all runs with this folder, oldest first.
    static func reports(in folder: TemporaryDirectory) throws -> [CrashReport] {
        let crashes = folder.file("crashes")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: crashes.path)) ?? []
        return try names.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }.sorted().map { name in
            try CrashReport.decode([UInt8](Data(contentsOf: crashes.appendingPathComponent(name))))
        }
    }

    static func run(
        _ program: [String], options: [String] = [], environment: [String: String?] = [:],
        folder: TemporaryDirectory? = nil, directory: URL? = nil, limit: Double = 60
    ) async throws -> Result {
        try await CrashRun(
            program, options: options, environment: environment, folder: folder, directory: directory
        ).finish(limit: limit)
    }

    /// Whether the tests' Python has that program beside it.
    static func has(_ name: String) -> Bool {
        guard let python = TestPython.path else { return false }
        let path = URL(fileURLWithPath: python).deletingLastPathComponent().appendingPathComponent(name).path
        return FileManager.default.isExecutableFile(atPath: path)
    }

    /// Root in a container may not.
    static let mayMakePidNamespace: Bool = {
        let trial = Process()
        trial.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        trial.arguments = ["--pid", "--fork", "--mount-proc", "true"]
        trial.standardError = FileHandle.nullDevice
        guard (try? trial.run()) != nil else { return false }
        trial.waitUntilExit()
        return trial.terminationStatus == 0
    }()

    static func isInPath(_ program: String) -> Bool {
        (Foundation.ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
        }
    }

    /// Processes that have `text` in their command line.
    static func processes(with text: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            let line = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(pid)/cmdline"))) ?? Data()
            return String(decoding: line, as: UTF8.self).contains(text)
        }
    }
}
