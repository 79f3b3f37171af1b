// Runs a program to its end, or keeps it running beside a test, and never leaves it behind.

package import CLinux
package import Foundation

/// A program that a test started.
///
/// Unchecked: the process is used from the creating test alone; output is read by pread(2).
package final class Command: @unchecked Sendable {
    private let process = Process()
    // Files, not pipes: a pipe of Foundation's is inherited by whatever other tests spawn meanwhile, and ends only with them.
    private let output = OutputFile()
    private let errors = OutputFile()

    /// Starts it. `environment` is added to the test's own; nil values are removed.
    package init(
        _ executable: URL, _ arguments: [String] = [], environment: [String: String?] = [:], directory: URL? = nil
    ) throws {
        process.executableURL = executable
        process.arguments = arguments
        var variables = Foundation.ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value }
        process.environment = variables
        if let directory { process.currentDirectoryURL = directory }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output.handle
        process.standardError = errors.handle
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    package var pid: pid_t { process.processIdentifier }
    package var isRunning: Bool { process.isRunning }
    package var standardOutput: String { output.text }
    package var standardError: String { errors.text }

    package func send(signal: Int32) { kill(process.processIdentifier, signal) }

    package enum Ending: Equatable, Sendable {
        case code(Int32)
        case signal(Int32)
        case killedByTest
    }

    /// Waits until it ends; after `limit` seconds it is killed.
    package func wait(limit: Double = 60) async -> Ending {
        let deadline = Date().addingTimeInterval(limit)
        while process.isRunning {
            if Date() > deadline {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                return .killedByTest
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
        switch process.terminationReason {
        case .exit: return .code(process.terminationStatus)
        case .uncaughtSignal: return .signal(process.terminationStatus)
        @unknown default: return .code(process.terminationStatus)
        }
    }

    /// Runs a program to its end.
    package static func run(
        _ executable: URL, _ arguments: [String] = [], environment: [String: String?] = [:], directory: URL? = nil,
        limit: Double = 60
    ) async throws -> (ending: Ending, output: String, errors: String) {
        let command = try Command(executable, arguments, environment: environment, directory: directory)
        let ending = await command.wait(limit: limit)
        return (ending, command.standardOutput, command.standardError)
    }

    /// Waits until `condition` holds, at most `limit` seconds. Returns whether it came to hold.
    package static func eventually(limit: Double = 20, _ condition: () async throws -> Bool) async rethrows -> Bool {
        let deadline = Date().addingTimeInterval(limit)
        while Date() < deadline {
            if try await condition() { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return try await condition()
    }
}

/// What a program writes, in memory.
private struct OutputFile {
    let handle: FileHandle

    init() {
        handle = FileHandle(fileDescriptor: granite_memfd_create("granite-test-output"), closeOnDealloc: true)
    }

    /// All that was written until now.
    var text: String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = pread(handle.fileDescriptor, &chunk, chunk.count, off_t(bytes.count))
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk.prefix(count)
        }
    }
}
