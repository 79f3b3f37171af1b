// Runs a supervisor with fake workers inside a test, and ends it with the test.

import Foundation
import GraniteCrashChannel
import GraniteLogging
import GraniteSupervisor
import Synchronization
import TestSupport
import Testing

/// A server under test.
final class TestServer: Sendable {
    let supervisor: Supervisor
    let recorder: EventRecorder
    let port: UInt16
    let directory: TemporaryDirectory

    private init(supervisor: Supervisor, recorder: EventRecorder, port: UInt16, directory: TemporaryDirectory) {
        self.supervisor = supervisor
        self.recorder = recorder
        self.port = port
        self.directory = directory
    }

    struct Options {
        var workers = 1
        /// By `slot.generation`, `slot` or `*`; without one a worker becomes ready and serves.
        var scripts: [String: [String]] = [:]
        var respawns = true
        var limits = RespawnPolicy.Limits(
            interval: .zero, firstDelay: .milliseconds(10), longestDelay: .milliseconds(40))
        var gracePeriod = Duration.seconds(30)
        var startupTimeout = Duration.seconds(60)
        var level = BacktraceLevel.short
        /// How the fake collector behaves; see FakeCollector.
        var collector = ""
        var collectorExecutable = BuildProducts.executable("FakeWorker").path
        var workerExecutable = BuildProducts.executable("FakeWorker").path
        var collectorPatience = Duration.seconds(5)
        var countInterval = Duration.seconds(10)
    }

    /// Runs `body` beside a server, then stops the server.
    ///
    /// - Returns: the exit code.
    @discardableResult
    static func run(_ configure: (inout Options) -> Void = { _ in }, _ body: (TestServer) async throws -> Void)
        async throws -> Int32?
    {
        var options = Options()
        configure(&options)
        let directory = try TemporaryDirectory()
        let listeners = try ListeningSocket.bind(host: "127.0.0.1", port: 0)
        let recorder = EventRecorder()
        let configuration = SupervisorConfiguration(
            rules: .init(
                workers: options.workers, respawnsFailedWorkers: options.respawns, respawn: options.limits,
                gracePeriod: options.gracePeriod, startupTimeout: options.startupTimeout),
            listeners: listeners, workerExecutable: options.workerExecutable,
            payload: Array(try JSONEncoder().encode(options.scripts)),
            environment: [
                ("FAKE_COLLECTOR", options.collector), ("FAKE_COLLECTOR_LOG", directory.file("collector.log").path),
            ],
            level: options.level, collectorExecutable: options.collectorExecutable, crashDirectory: directory.url.path,
            wrapsOutput: true,
            collectorPatience: options.collectorPatience, countInterval: options.countInterval)
        let supervisor = try Supervisor(
            configuration: configuration, log: recorder.log, output: LogOutput(path: directory.file("log").path))
        let server = TestServer(
            supervisor: supervisor, recorder: recorder, port: listeners[0].port, directory: directory)
        let running = Task { try await supervisor.run() }
        let result: Result<Void, any Error>
        do {
            try await body(server)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        supervisor.stop(reason: "the test is over")
        if case .failure = result { supervisor.hasten() }
        try await running.value
        try result.get()
        return supervisor.exitCode
    }

    /// What the fake collector heard, each with the number of descriptors that came along.
    func collectorHeard() throws -> [(message: SupervisorMessage, descriptors: Int)] {
        let text = (try? String(contentsOf: directory.file("collector.log"), encoding: .utf8)) ?? ""
        return try text.split(separator: "\n").map { line in
            let space = try #require(line.lastIndex(of: " "))
            let message = try JSONDecoder().decode(SupervisorMessage.self, from: Data(line[..<space].utf8))
            return (message, try #require(Int(line[line.index(after: space)...])))
        }
    }

    /// Asks the server who answers: the pid of the worker that accepted the connection.
    func askForPid() throws -> Int32 {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(connection) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = read(connection, &buffer, buffer.count)
        return try #require(Int32(String(decoding: buffer[..<max(0, count)], as: UTF8.self)))
    }
}

/// Open descriptors of this process.
func openDescriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }

/// Whether a process of this pid exists, as a zombie too.
func exists(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }
