// Runs a program to its end, or keeps it running beside a test, and never leaves it behind.

package import Foundation
import Synchronization

/// A program that a test started.
///
/// Unchecked: the process is used from the creating test alone; output is behind a Mutex.
package final class Command: @unchecked Sendable {
    private let process = Process()
    private let output = Mutex(Data())
    private let errors = Mutex(Data())
    private let pipes = (Pipe(), Pipe())

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
        process.standardOutput = pipes.0
        process.standardError = pipes.1
        pipes.0.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil } else { self?.output.withLock { $0.append(data) } }
        }
        pipes.1.fileHandleForReading.readabilityHandler = { [weak self] handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil } else { self?.errors.withLock { $0.append(data) } }
        }
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    package var pid: pid_t { process.processIdentifier }
    package var isRunning: Bool { process.isRunning }
    package var standardOutput: String { String(decoding: output.withLock { $0 }, as: UTF8.self) }
    package var standardError: String { String(decoding: errors.withLock { $0 }, as: UTF8.self) }

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
        // The readers see end of file soon after the end, unless a grandchild keeps the pipe.
        for _ in 0..<2000 {
            if pipes.0.fileHandleForReading.readabilityHandler == nil
                && pipes.1.fileHandleForReading.readabilityHandler == nil
            {
                break
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
