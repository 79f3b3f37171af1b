// A `granite serve` of a test's own: its log, its reports, its requests. Separate so that each test reads as a story.

import Foundation
import GraniteReport
import TestSupport
import Testing

/// Which Python serves the tests' apps: the virtual environment that `Tests/run` makes, with Flask, Django and jsonschema.
enum TestPython {
    static var path: String? {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["GRANITE_TEST_PYTHON"] { return path }
        for folder in (environment["PATH"] ?? "").split(separator: ":") {
            let candidate = "\(folder)/python3"
            if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
        }
        return nil
    }

    static func has(_ module: String) -> Bool {
        guard let path else { return false }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = ["-c", "import \(module)"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

/// One JSON line of the log.
struct Event: @unchecked Sendable {  // an immutable tree of plist values
    let fields: [String: Any]
    let line: String

    var name: String { fields["event"] as? String ?? "" }
    subscript(path: String) -> Any? {
        path.split(separator: ".").reduce(fields as Any?) { value, key in (value as? [String: Any])?[String(key)] }
    }
    func string(_ path: String) -> String? { self[path] as? String }
    func int(_ path: String) -> Int? { (self[path] as? NSNumber)?.intValue }
}

final class GraniteServer: Sendable {
    let folder: TemporaryDirectory
    let command: Command
    let log: URL
    let crashes: URL
    let port: Int

    static var flaskSample: URL { BuildProducts.checkout.appendingPathComponent("samples/flask") }
    /// The app that the WSGI probe asks; GraniteWSGITests ask it without a socket.
    static var probeApp: URL { BuildProducts.checkout.appendingPathComponent("Tests/GraniteWSGITests/Fixtures") }
    static var fixtures: URL { BuildProducts.checkout.appendingPathComponent("Tests/EndToEndTests/Fixtures") }

    /// Starts a server on a free port and waits until its workers are ready.
    ///
    /// - Parameters:
    ///   - folder: where log and reports go; nil = a new one.
    ///   - launcher: a program and its arguments that in the end executes the rest of the line.
    init(
        _ application: String, in directory: URL, workers: Int = 1, arguments: [String] = [],
        environment: [String: String?] = [:], folder: TemporaryDirectory? = nil, launcher: [String] = []
    ) async throws {
        let folder = try folder ?? TemporaryDirectory()
        self.folder = folder
        log = folder.file("granite.log")
        crashes = folder.file("crashes")
        command = try Self.start(
            application, in: directory, log: log, crashes: crashes, arguments: ["--workers", "\(workers)"] + arguments,
            environment: environment, launcher: launcher)
        let (log, command) = (log, command)
        let isReady = await Command.eventually(limit: 40) {
            !command.isRunning || Self.events(in: log).filter { $0.name == "worker.ready" }.count >= workers
        }
        port = Self.events(in: log).first { $0.name == "server.started" }?.int("port") ?? 0
        try #require(isReady && command.isRunning && port > 0, "the server did not start: \(command.standardError)")
    }

    /// Starts `granite serve` and returns at once.
    ///
    /// - Parameter launcher: a program and its arguments that in the end executes the rest of the line.
    static func start(
        _ application: String, in directory: URL, log: URL, crashes: URL, arguments: [String] = [],
        environment: [String: String?] = [:],
        launcher: [String] = []
    ) throws -> Command {
        var variables: [String: String?] = ["GRANITE_BACKTRACE": "full", "VIRTUAL_ENV": nil]
        variables.merge(environment) { $1 }
        var words = [
            "serve", application, "--chdir", directory.path, "--port", "0", "--log-format", "json", "--log-file",
            log.path,
            "--crash-dir", crashes.path, "--respawn-interval", "0.1",
        ]
        if let python = TestPython.path { words += ["--python", python] }
        let line = launcher + [BuildProducts.executable("granite").path] + words + arguments
        return try Command(URL(fileURLWithPath: line[0]), Array(line.dropFirst()), environment: variables)
    }

    deinit { command.send(signal: SIGKILL) }

    static func events(in log: URL) -> [Event] {
        guard let text = try? String(contentsOf: log, encoding: .utf8) else { return [] }
        // The last line may be half written.
        return text.split(separator: "\n").compactMap { line in
            guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
                return nil
            }
            return Event(fields: object, line: String(line))
        }
    }

    func events(_ name: String) -> [Event] { Self.events(in: log).filter { $0.name == name } }

    /// Waits for the `count`th event of that name.
    func event(_ name: String, count: Int = 1, limit: Double = 40) async throws -> Event {
        let came = await Command.eventually(limit: limit) { events(name).count >= count }
        try #require(
            came, "no \(name) event number \(count) in:\n\((try? String(contentsOf: log, encoding: .utf8)) ?? "")")
        return events(name)[count - 1]
    }

    /// The stored report with that id, as JSON.
    func report(_ id: String) throws -> CrashReport {
        try CrashReport.decode([UInt8](Data(contentsOf: crashes.appendingPathComponent("\(id).json"))))
    }

    struct Answer: Sendable {
        var status: Int
        var body: String
    }

    /// A request on a connection of its own; nil when the connection ended without an answer.
    func get(_ target: String) async -> Answer? {
        let result = try? await Command.run(
            URL(fileURLWithPath: "/usr/bin/curl"),
            ["-s", "-m", "20", "-o", "-", "-w", "\n%{http_code}", "http://127.0.0.1:\(port)\(target)"])
        guard let result, result.ending == .code(0) else { return nil }
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        return Answer(status: Int(lines.last ?? "") ?? 0, body: lines.dropLast().joined(separator: "\n"))
    }

    /// Stops it as an operator would and returns how it ended.
    func stop() async -> Command.Ending {
        command.send(signal: SIGTERM)
        return await command.wait(limit: 40)
    }
}
