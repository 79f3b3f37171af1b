// Stands in for `granite serve`: starts a real collector and real probes, and tells the one about the others.

import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import GraniteStore
import TestSupport

/// Blocking calls: use it inside ``onThread(_:)``.
final class FakeSupervisor {
    let directory: TemporaryDirectory
    let store: ReportStore
    private(set) var control: Int32 = -1
    private(set) var collectorPID: pid_t = 0
    private let level: String

    init(level: String = "full", directory: TemporaryDirectory? = nil) throws {
        self.level = level
        self.directory = try directory ?? TemporaryDirectory()
        store = ReportStore(directory: CrashDirectory(path: self.directory.file("crashes").path))
        try startCollector()
    }

    deinit {
        close(control)
        var status: Int32 = 0
        if collectorPID > 0 { waitpid(collectorPID, &status, 0) }
    }

    /// Runs `body` on a thread of its own, because it blocks and the tests' pool has few threads.
    static func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread { continuation.resume(with: Swift.Result { try body() }) }.start()
        }
    }

    // MARK: The collector

    func startCollector() throws {
        let (mine, its) = try ProbeProcess.socketPair()
        collectorPID = try ProbeProcess.spawn(
            BuildProducts.executable("granite-crash").path,
            ["collect", "--control-fd", "3", "--crash-dir", directory.file("crashes").path, "--level", level],
            descriptors: [its: 3])
        close(its)
        control = mine
        guard try receive() == .ready else { throw POSIXError(.EPROTO) }
    }

    /// Kills it and waits for its end.
    func killCollector() {
        kill(collectorPID, SIGKILL)
        reapCollector()
        close(control)
        control = -1
    }

    @discardableResult
    func reapCollector() -> Int32 {
        var status: Int32 = 0
        waitpid(collectorPID, &status, 0)
        collectorPID = 0
        return status
    }

    /// Closes the control socket, which is how a collector is stopped. Returns its wait status.
    func stopCollector() -> Int32 {
        close(control)
        control = -1
        return reapCollector()
    }

    func send(_ message: SupervisorMessage, descriptors: [Int32] = []) throws {
        let data = try JSONEncoder().encode(message)
        let sent = data.withUnsafeBytes {
            granite_send_with_descriptors(control, $0.baseAddress!, $0.count, descriptors, Int32(descriptors.count))
        }
        guard sent == data.count else { throw POSIXError(.EPIPE) }
    }

    /// The collector's next message; an error after `limit` seconds or when it is gone.
    func receive(limit: Int32 = 30) throws -> CollectorMessage {
        var ready = pollfd(fd: control, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, limit * 1000) > 0 else { throw POSIXError(.ETIMEDOUT) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = recv(control, &bytes, bytes.count, 0)
        guard count > 0 else { throw POSIXError(.EPIPE) }
        return try JSONDecoder().decode(CollectorMessage.self, from: Data(bytes[..<count]))
    }

    /// The report that the next message announces.
    func receiveReport() throws -> (report: CrashReport, summary: CrashSummary) {
        switch try receive() {
        case .reported(_, let summary): return (try store.load(summary.id).report, summary)
        case .failed(_, let reason, _): throw Failure(reason: reason)
        case .ready: throw Failure(reason: "the collector said ready once more")
        }
    }

    struct Failure: Error { var reason: String }

    // MARK: Workers

    /// A probe with its page and its memory socket, as the supervisor keeps them.
    struct Worker {
        var crashID = ULID.make()
        var pid: pid_t = 0
        var page: Int32 = -1
        /// The collector's end.
        var memorySocket: Int32 = -1

        var watch: SupervisorMessage.Watch {
            .init(crashID: crashID, slot: 1, generation: 2, pid: pid, afterCollectorRestart: false)
        }
    }

    /// Starts a probe without telling the collector.
    func spawnWorker(
        _ name: String, arguments: [String] = [], level: String = "full", serveDeadlineMilliseconds: Int = 20_000,
        errors: Int32 = 2
    ) throws -> Worker {
        var worker = Worker()
        let number: UInt32 = level == "full" ? 2 : level == "short" ? 1 : 0
        worker.page = try CrashPage.make(crashID: worker.crashID, slot: 1, generation: 2, level: number)
        let (mine, its) = try ProbeProcess.socketPair()
        worker.memorySocket = mine
        worker.pid = try ProbeProcess.spawn(
            BuildProducts.executable("CrashProbe").path,
            [
                name, "--level", level, "--page-fd", "10", "--memory-socket", "11", "--serve-deadline-ms",
                "\(serveDeadlineMilliseconds)", "--park-deadline-ms", "20000",
            ] + arguments, descriptors: [worker.page: 10, its: 11, errors: 2])
        close(its)
        return worker
    }

    /// Starts another program with the page at descriptor 10 and the memory socket at 11.
    func spawnWorker(program: URL, _ arguments: [String]) throws -> Worker {
        var worker = Worker()
        worker.page = try CrashPage.make(crashID: worker.crashID, slot: 1, generation: 2, level: 2)
        let (mine, its) = try ProbeProcess.socketPair()
        worker.memorySocket = mine
        worker.pid = try ProbeProcess.spawn(program.path, arguments, descriptors: [worker.page: 10, its: 11])
        close(its)
        return worker
    }

    func watch(_ worker: Worker, afterRestart: Bool = false, replays: Int = 0) throws {
        var watch = worker.watch
        watch.afterCollectorRestart = afterRestart
        watch.replays = replays
        try send(.watch(watch), descriptors: [worker.page, worker.memorySocket])
    }

    /// Waits for the worker's end and tells the collector, and that it was replaced.
    @discardableResult
    func reap(
        _ worker: Worker, logTail: [String] = [], logFile: URL? = nil, oomKills: Int? = 0, duringStartup: Bool = false,
        expected: Bool = false
    ) throws -> Int32 {
        var status: Int32 = 0
        waitpid(worker.pid, &status, 0)
        let written = try logFile.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) } ?? ""
        let logTail = logTail + written.split(separator: "\n").suffix(50).map(String.init)
        try send(
            .exited(
                .init(
                    crashID: worker.crashID, pid: worker.pid, waitStatus: status, expected: expected,
                    duringStartup: duringStartup,
                    uptimeSeconds: 1.5, resources: .init(userSeconds: 0.25, systemSeconds: 0.5, maxRSSBytes: 1 << 20),
                    logTail: logTail,
                    oomKills: oomKills)))
        try send(.respawned(.init(crashID: worker.crashID, pid: 4790, afterMilliseconds: 38)))
        return status
    }

    func release(_ worker: Worker) {
        close(worker.page)
        close(worker.memorySocket)
    }

    /// One crash from its start to its report.
    static func report(
        of name: String, arguments: [String] = [], level: String = "full", logTail: [String] = [], oomKills: Int? = 0,
        duringStartup: Bool = false
    ) async throws -> (report: CrashReport, summary: CrashSummary) {
        try await onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker(name, arguments: arguments, level: level)
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            try supervisor.reap(worker, logTail: logTail, oomKills: oomKills, duringStartup: duringStartup)
            return try supervisor.receiveReport()
        }
    }
}
