// The whole collector process, fed with damaged pages, hostile workers and broken messages. It must report or refuse each death in time,
// and go on: one collector lives through all rounds. Tests/fuzz runs it longer, with other numbers.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import GraniteStore
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(60))) struct CollectorFuzzTests {
    @Test func everyDamagedPageIsReportedOrRefused() async throws {
        try await FakeSupervisor.onThread {
            let samples = try SamplePage.makeAll()
            let target = try FuzzTarget()
            var random = Fuzzing.numbers(101)
            for round in 0..<Fuzzing.rounds(60) {
                let sample = samples[random.below(samples.count)]
                let bytes = random.below(20) == 0 ? sample.bytes : sample.mutated(&random)
                try target.die(of: bytes, status: Self.status(&random), round: round)
            }
            try target.expectHealthy()
        }
    }

    @Test func noHostileWorkerHarmsTheCollector() async throws {
        try await FakeSupervisor.onThread {
            let samples = try SamplePage.makeAll(["null-read", "requests", "abort", "threads-20"])
            let target = try FuzzTarget()
            var random = Fuzzing.numbers(102)
            for round in 0..<Fuzzing.rounds(42) {
                var bytes = samples[random.below(samples.count)].bytes
                if random.below(2) == 0 { bytes = samples[random.below(samples.count)].mutated(&random) }
                // Held, with an interpreter that is said to lie somewhere in what the worker serves.
                bytes.store(UInt32(GRANITE_STAGE_COPIED.rawValue), at: FuzzTarget.stageOffset)
                bytes.store(UInt32(GRANITE_KIND_SIGNAL.rawValue), at: FuzzTarget.kindOffset)
                if random.below(3) > 0 {
                    bytes.store(UInt64(0x7f00_0000_0000), at: FuzzTarget.pythonOffset)
                    let versions: [UInt32] = [0x0309_12f0, 0x030a_0df0, 0x030b_07f0, 0x030c_01f0, 0x030d_00f0, 0, .max]
                    bytes.store(versions[random.below(versions.count)], at: FuzzTarget.pythonOffset + 8)
                }
                let manner = HostileWorker.Manner.allCases[round % HostileWorker.Manner.allCases.count]
                try target.die(of: bytes, status: SIGSEGV, round: round, manner: manner, random: random)
                _ = random.next()
            }
            try target.expectHealthy()
        }
    }

    @Test func brokenMessagesCostNothingButThemselves() async throws {
        try await FakeSupervisor.onThread {
            let target = try FuzzTarget()
            var random = Fuzzing.numbers(103)
            let sound = try JSONEncoder().encode(
                SupervisorMessage.watch(
                    .init(crashID: ULID.make(), slot: 1, generation: 1, pid: 1, afterCollectorRestart: true)))
            for round in 0..<Fuzzing.rounds(100) {
                var bytes = [UInt8](sound)
                switch random.below(4) {
                case 0: bytes = (0...random.below(300)).map { _ in random.byte() }
                case 1: bytes.removeLast(1 + random.below(bytes.count - 1))
                case 2: bytes = Array(repeating: UInt8(ascii: "["), count: 1 + random.below(100_000))
                default: for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = random.byte() }
                }
                try target.send(
                    bytes, descriptors: Array(target.strangers.shuffled(using: &random).prefix(random.below(5))))
                // The socket's buffer is finite, and the collector answers none of these.
                if round % 16 == 0 { try target.expectReport(of: "null-read") }
            }
            // What could be understood by chance is a worker, and keeps its descriptors.
            try target.expectHealthy(sparing: 4 * Fuzzing.rounds(100))
        }
    }

    /// A way in which a process may end, or none that exists.
    private static func status(_ random: inout SplitMix) -> Int32 {
        switch random.below(4) {
        case 0: SIGSEGV
        case 1: Int32(random.below(256)) << 8
        case 2: Int32(random.below(65)) | 0x80
        default: Int32(truncatingIfNeeded: random.hostileWord())
        }
    }
}

/// One collector that must outlive everything. Belongs to one thread.
private final class FuzzTarget {
    static let stageOffset = Int(GRANITE_OFFSET_CAPTURE.rawValue)
    static let kindOffset = stageOffset + 4
    static let sequenceOffset = stageOffset + 8
    /// `python_runtime`, followed by `python_version` (granite_crash_page.h).
    static let pythonOffset = 104

    let supervisor: FakeSupervisor
    /// Descriptors that are no crash pages.
    let strangers: [Int32]
    private var before: Int

    init() throws {
        supervisor = try FakeSupervisor()
        strangers = try ["/dev/null", "/dev/zero", "/", "/proc/self/maps", "/dev/full"].map { path in
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw POSIXError(.ENOENT) }
            return descriptor
        }
        // What a collector opens once and keeps, it has after the first crash.
        before = 0
        try expectReport(of: "null-read")
        try expectReport(of: "requests")
        before = descriptors.ofWorkers
    }

    deinit { strangers.forEach { close($0) } }

    /// Descriptors of workers that the collector holds: pages and sockets. Object files are kept on purpose, up to a number.
    private var descriptors: (ofWorkers: Int, files: Int) {
        let folder = "/proc/\(supervisor.collectorPID)/fd"
        let targets = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).map {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) ?? ""
        }
        let ofWorkers = targets.count { $0.hasPrefix("socket:") || $0.hasPrefix("/memfd:") }
        // Pipes are what other tests of this process had open when the collector was spawned.
        return (ofWorkers, targets.count { $0.hasPrefix("/") && !$0.hasPrefix("/memfd:") })
    }

    func send(_ bytes: [UInt8], descriptors: [Int32]) throws {
        let sent = bytes.withUnsafeBytes {
            granite_send_with_descriptors(
                supervisor.control, $0.baseAddress!, $0.count, descriptors, Int32(descriptors.count))
        }
        guard sent == bytes.count else {
            Issue.record("the collector ended with status \(supervisor.stopCollector()) or takes no message")
            throw POSIXError(.EPIPE)
        }
    }

    /// A worker with this page dies; the collector must say so.
    func die(
        of bytes: [UInt8], status: Int32, round: Int, manner: HostileWorker.Manner? = nil,
        random: SplitMix = SplitMix(state: 0)
    ) throws {
        let crashID = ULID.make()
        let page = try SamplePage.makeFile(bytes, crashID: crashID)
        defer { close(page) }
        let (mine, its) = try ProbeProcess.socketPair()
        defer { close(mine) }
        try supervisor.send(
            .watch(.init(crashID: crashID, slot: 1, generation: 1, pid: 1, afterCollectorRestart: round % 2 == 1)),
            descriptors: [page, mine])
        if let manner {
            HostileWorker.start(manner, socket: its, capture: bytes.load(at: Self.sequenceOffset), random: random)
        } else {
            close(its)
        }
        // Nothing of it may wait for a worker that does not end.
        try supervisor.send(
            .exited(
                .init(
                    crashID: crashID, pid: 1, waitStatus: status, expected: false, duringStartup: round % 3 == 0,
                    uptimeSeconds: 1, resources: .init(userSeconds: 0, systemSeconds: 0, maxRSSBytes: 0), logTail: [],
                    oomKills: nil)))
        try supervisor.send(.respawned(.init(crashID: crashID, pid: 2, afterMilliseconds: 1)))
        try expectAnswer(about: crashID, "round \(round) \(manner.map { "\($0)" } ?? "")")
        shutdown(mine, Int32(SHUT_RDWR))
    }

    /// The report of the death, or why there is none. A damaged page may also tell of captures that the worker survived.
    private func expectAnswer(about crashID: String, _ what: String) throws {
        for _ in 0..<8 {
            switch try supervisor.receive(limit: 25) {
            case .ready: Issue.record("\(what): the collector began anew")
            case .reported(let id, let summary):
                let report = try supervisor.store.load(summary.id).report
                #expect(!(report.reason ?? "").isEmpty, "\(what)")
                if let path = summary.report { unlink(path) }
                if id == crashID, summary.id == crashID { return }
            case .failed(let id, let reason, let summary):
                #expect(!reason.isEmpty, "\(what)")
                if id == crashID, summary?.id == crashID { return }
            }
        }
        Issue.record("\(what): no answer about the death")
    }

    /// A real crash is reported as ever.
    func expectReport(of name: String) throws {
        let worker = try supervisor.spawnWorker(name)
        defer { supervisor.release(worker) }
        try supervisor.watch(worker)
        try supervisor.reap(worker)
        let (report, summary) = try supervisor.receiveReport()
        #expect(report.capture?.incomplete != true, "\(report.capture?.errors ?? [])")
        #expect(report.threads?.first?.frames?.first?.symbol?.contains("granite_probe_null_read") == true)
        if let path = summary.report { unlink(path) }
    }

    /// Still the first collector, as good as at the beginning, and nothing piled up in it.
    func expectHealthy(sparing spared: Int = 0) throws {
        try expectReport(of: "null-read")
        // The last workers are forgotten once their jobs have ended.
        let deadline = Date(timeIntervalSinceNow: 10)
        while descriptors.ofWorkers > before + spared, Date() < deadline { usleep(10_000) }
        #expect(descriptors.ofWorkers <= before + spared)
        #expect(descriptors.files < 300)
        let status = (try? String(contentsOfFile: "/proc/\(supervisor.collectorPID)/status", encoding: .utf8)) ?? ""
        let kilobytes = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }?.split(separator: " ")
            .compactMap { Int($0) }.first
        // A page is 33 MB at most and two are in work; symbols of the probe and its libraries are the rest.
        #expect((kilobytes ?? .max) < 600_000)
        #expect(supervisor.stopCollector() == 0)
    }
}

extension [UInt8] {
    fileprivate mutating func store<Word: BitwiseCopyable>(_ word: Word, at offset: Int) {
        withUnsafeMutableBytes { $0.storeBytes(of: word, toByteOffset: offset, as: Word.self) }
    }

    fileprivate func load(at offset: Int) -> UInt32 {
        withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
    }
}
