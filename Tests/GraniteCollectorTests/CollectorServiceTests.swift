// What the collector does when things go wrong around it: it dies, the directory refuses, the worker waits for nobody.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import GraniteStore
import TestSupport
import Testing

@testable import GraniteCollector

@Suite(.timeLimit(.minutes(3))) struct CollectorServiceTests {
    /// The hello that the collector which "died" had taken.
    private static func takeHello(_ worker: FakeSupervisor.Worker) throws {
        var hello = granite_memory_hello()
        var ready = pollfd(fd: worker.memorySocket, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, 30_000) == 1,
            recv(worker.memorySocket, &hello, MemoryLayout<granite_memory_hello>.size, 0) > 0
        else {
            throw POSIXError(.ETIMEDOUT)
        }
    }

    @Test func replacedCollectorTakesUpAHeldWorkerAndMarksTheReport() async throws {
        let (report, summary) = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("null-read")
            defer { supervisor.release(worker) }
            try Self.takeHello(worker)
            supervisor.killCollector()
            try supervisor.startCollector()
            try supervisor.watch(worker, afterRestart: true)
            try supervisor.reap(worker)
            return try supervisor.receiveReport()
        }
        #expect(report.threads?.first?.frames?.first?.symbol == "granite_probe_null_read")
        #expect(!summary.complete)
        #expect(report.capture?.errors?.contains("The collector was restarted while it worked on this crash.") == true)
    }

    @Test func pageAloneGivesEveryStackOfADeadWorker() async throws {
        let (report, summary) = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("threads-3", serveDeadlineMilliseconds: 1)
            defer { supervisor.release(worker) }
            // Nobody answers: the worker gives up and dies before a collector hears of it.
            let process = granite_pidfd_open(worker.pid)
            defer { close(process) }
            var dead = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
            _ = poll(&dead, 1, 30_000)
            supervisor.killCollector()
            try supervisor.startCollector()
            try supervisor.watch(worker, afterRestart: true)
            try supervisor.reap(worker)
            return try supervisor.receiveReport()
        }
        #expect(report.threads?.count == 4)
        #expect(report.threads?.allSatisfy { ($0.frames?.count ?? 0) > 3 && $0.truncated == nil } == true)
        #expect(!summary.complete)
    }

    /// The crash may be what ended the collectors before: no file is opened for it a third time.
    @Test func crashThatEndedTwoCollectorsIsReportedFromThePageWithoutNames() async throws {
        let report = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("threads-3", serveDeadlineMilliseconds: 1)
            defer { supervisor.release(worker) }
            let process = granite_pidfd_open(worker.pid)
            defer { close(process) }
            var dead = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
            _ = poll(&dead, 1, 30_000)
            try supervisor.watch(worker, afterRestart: true, replays: 2)
            try supervisor.reap(worker)
            return try supervisor.receiveReport().report
        }
        #expect(report.signal?.name == "SIGSEGV")
        #expect(report.threads?.count == 4)
        let frames = try #require(report.threads?.first?.frames)
        #expect(frames.count > 3)
        #expect(frames.allSatisfy { $0.symbol == nil })
        #expect(frames.first?.module?.hasSuffix("CrashProbe") == true)
        #expect(
            report.capture?.errors?.contains(
                "Names are missing: collectors before this one ended without this crash's report.") == true)
    }

    @Test func everyOfAHundredThreadsHasTheFramesThatEuStackSees() async throws {
        let (report, seen) = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("threads-100")
            defer { supervisor.release(worker) }
            try Self.takeHello(worker)
            let seen = try EuStack.frameCounts(of: worker.pid)
            try supervisor.watch(worker, afterRestart: true)
            try supervisor.reap(worker)
            return (try supervisor.receiveReport().report, seen)
        }
        let threads = report.threads ?? []
        #expect(threads.count == 101)
        #expect(threads.allSatisfy { $0.frames?.isEmpty == false })
        for thread in threads.dropFirst() {
            let physical = (thread.frames ?? []).filter { $0.inlined != true }
            #expect(physical.count == seen[thread.tid], "thread \(thread.tid): \(physical.map { $0.symbol ?? "?" })")
        }
    }

    @Test func refusedDirectoryIsToldWithTheSummary() async throws {
        let message = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            try supervisor.directory.write("not a directory", to: "crashes")
            let worker = try supervisor.spawnWorker("null-read")
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            try supervisor.reap(worker)
            return try supervisor.receive()
        }
        guard case .failed(_, let reason, let summary) = message else {
            Issue.record("expected a failure, not \(message)")
            return
        }
        #expect(reason.contains("crashes"))
        #expect(summary?.reason == "granite_probe_null_read read address 0x0: a null pointer.")
        #expect(summary?.report == nil)
    }

    /// A job that got no thread was dropped: the worker stood until its deadline, and nobody heard why there was no report.
    @Test func jobThatIsGivenUpLetsTheWorkerGoAndIsTold() async throws {
        let (operation, message, id) = try await FakeSupervisor.onThread {
            let memory = try ProbeProcess.socketPair()
            let control = try ProbeProcess.socketPair()
            // The channel closes the other end of the control socket.
            defer { for end in [memory.0, memory.1, control.1] { close(end) } }
            let directory = try TemporaryDirectory()
            let watch = SupervisorMessage.Watch(
                crashID: ULID.make(), slot: 1, generation: 1, pid: getpid(), afterCollectorRestart: false)
            let work = CrashJob(
                job: .init(crashID: watch.crashID, source: .live, isFatal: true, isResumed: false), watch: watch,
                page: nil, socket: memory.0, process: ProcessFacts(), mailbox: EndingMailbox(), level: 2,
                shared: .init(
                    store: ReportStore(directory: CrashDirectory(path: directory.file("crashes").path)),
                    channel: ControlChannel(socket: control.0)))
            work.giveUp("No thread.")
            var request = granite_memory_request()
            _ = recv(memory.1, &request, MemoryLayout<granite_memory_request>.size, Int32(MSG_DONTWAIT))
            var bytes = [UInt8](repeating: 0, count: 65536)
            let count = recv(control.1, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            let message = try JSONDecoder().decode(CollectorMessage.self, from: Data(bytes[..<max(0, count)]))
            return (request.operation, message, watch.crashID)
        }
        #expect(operation == GRANITE_MEMORY_DONE.rawValue)
        guard case .failed(id, "No thread.", let summary) = message else {
            Issue.record("expected a failure, not \(message)")
            return
        }
        #expect(summary?.id == id)
    }

    @Test func closedControlSocketEndsTheCollectorWithCode0AfterItsJobs() async throws {
        let (status, count) = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("null-read")
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            var status: Int32 = 0
            waitpid(worker.pid, &status, 0)
            kill(supervisor.collectorPID, SIGTERM)
            let ended = supervisor.stopCollector()
            return (ended, try supervisor.store.list().count)
        }
        #expect(status == 0)
        #expect(count == 1)
    }

    @Test func expectedExitGivesNoReport() async throws {
        let reports = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("exit-7")
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            try supervisor.reap(worker, expected: true)
            _ = supervisor.stopCollector()
            return (try? supervisor.store.list().count) ?? 0
        }
        #expect(reports == 0)
    }

    @Test func garbageOnTheControlSocketIsIgnored() async throws {
        let report = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            for garbage in ["", "{", "{\"watch\":{}}", String(repeating: "x", count: 100_000)] {
                _ = garbage.withCString { Glibc.send(supervisor.control, $0, max(1, strlen($0)), 0) }
            }
            let worker = try supervisor.spawnWorker("null-read")
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            try supervisor.reap(worker)
            return try supervisor.receiveReport().report
        }
        #expect(report.kind == .signal)
    }
}

/// elfutils' own tool, as a second opinion on a parked process.
enum EuStack {
    /// Frames of each thread outside of the handler that parked it.
    static func frameCounts(of pid: pid_t) throws -> [Int: Int] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/eu-stack")
        process.arguments = ["-p", "\(pid)"]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        var counts: [Int: Int] = [:]
        var tid = 0
        for line in text.split(separator: "\n") {
            if line.hasPrefix("TID ") {
                tid = Int(line.dropFirst(4).dropLast()) ?? 0
            } else if line.hasPrefix("#") {
                counts[tid] = line.contains("__restore_rt") ? 0 : counts[tid, default: 0] + 1
            }
        }
        return counts
    }
}
