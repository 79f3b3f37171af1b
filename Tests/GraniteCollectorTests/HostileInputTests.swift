// Crash pages and memory services that lie. The collector must come out of each with a report, never with a trap of its own: these tests
// run in the test's process, so a trap ends it.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import GraniteSymbols
import TestSupport
import Testing

@testable import GraniteCollector

@Suite(.timeLimit(.minutes(5))) struct HostileInputTests {
    /// The used bytes of a page of a real crash.
    private static func realPage() async throws -> [UInt8] {
        try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("threads-3")
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            try supervisor.reap(worker)
            _ = try supervisor.receiveReport()
            let size = Int(GRANITE_SNAPSHOT_OFFSET) + 512 << 10
            var bytes = [UInt8](repeating: 0, count: size)
            let count = pread(worker.page, &bytes, size, 0)
            guard count == size else { throw POSIXError(.EIO) }
            return bytes
        }
    }

    private static func report(ofPage bytes: [UInt8], symbolizer: Symbolizer) throws -> CrashReport {
        let descriptor = granite_memfd_create("hostile")
        defer { close(descriptor) }
        _ = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        let page = try? CrashPage(descriptor: descriptor)
        let evidence = EvidenceReader(socket: -1, isFull: true).read(page, withCapture: true)
        let analysis = Analyst(evidence: evidence, symbolizer: symbolizer, isFull: true).analyze()
        let watch = SupervisorMessage.Watch(crashID: "A", slot: 1, generation: 1, pid: 1, afterCollectorRestart: false)
        let assembler = ReportAssembler(
            id: "A", job: .init(crashID: "A", source: .page, isFatal: true, isResumed: false), watch: watch,
            process: ProcessFacts(),
            evidence: evidence, analysis: analysis, level: "full")
        return assembler.assemble(ending: Ending())
    }

    @Test func whateverStandsInTheRingOfThrowsIsBounded() async throws {
        let original = try await Self.realPage()
        try await FakeSupervisor.onThread {
            let symbolizer = Symbolizer()
            var random = SplitMix(state: 11)
            let size = MemoryLayout<granite_throw>.stride
            for _ in 0..<40 {
                var page = original
                page.withUnsafeMutableBytes { bytes in
                    let capture = Int(GRANITE_OFFSET_CAPTURE.rawValue)
                    let signal = MemoryLayout<granite_capture>.offset(of: \.signal_number)!
                    bytes.storeBytes(of: SIGABRT, toByteOffset: capture + signal, as: Int32.self)
                    let tid = bytes.load(
                        fromByteOffset: capture + MemoryLayout<granite_capture>.offset(of: \.crashed_tid)!,
                        as: UInt32.self)
                    for entry in 0..<Int(GRANITE_MAX_THROWS) {
                        let start = Int(GRANITE_OFFSET_THROWS.rawValue) + entry * size
                        for offset in 0..<size { bytes[start + offset] = UInt8(truncatingIfNeeded: random.next()) }
                        bytes.storeBytes(of: 2, toByteOffset: start, as: UInt32.self)
                        bytes.storeBytes(of: tid, toByteOffset: start + 4, as: UInt32.self)
                        if random.next() % 2 == 0 {
                            bytes.storeBytes(of: UInt64(entry), toByteOffset: start + 8, as: UInt64.self)
                        }
                    }
                }
                let report = try Self.report(ofPage: page, symbolizer: symbolizer)
                #expect((report.thrown?.frames?.count ?? 0) <= Int(GRANITE_MAX_THROW_FRAMES))
                #expect((report.thrown?.ageMilliseconds ?? 0) >= 0)
                #expect(try CrashReport.decode(report.encoded()).thrown == report.thrown)
            }
        }
    }

    @Test func anyDamageToAPageStillGivesAReportThatCanBeReadBack() async throws {
        let original = try await Self.realPage()
        try await FakeSupervisor.onThread {
            let symbolizer = Symbolizer()
            let sound = try Self.report(ofPage: original, symbolizer: symbolizer)
            #expect(sound.threads?.count == 4)
            var random = SplitMix(state: 7)
            let capture = Int(GRANITE_OFFSET_CAPTURE.rawValue)
            for round in 0..<150 {
                var page = original
                // A third each: the capture and thread records, the whole fixed part, the snapshot with its maps and stacks.
                let area = [
                    capture..<(capture + 40_000), 16..<Int(GRANITE_SNAPSHOT_OFFSET),
                    Int(GRANITE_SNAPSHOT_OFFSET)..<page.count,
                ][round % 3]
                for _ in 0..<(1 << Int(random.next() % 10)) {
                    let position = area.lowerBound + Int(random.next() % UInt64(area.count))
                    page[position] = random.next() % 3 == 0 ? 0xff : UInt8(truncatingIfNeeded: random.next())
                }
                let report = try Self.report(ofPage: page, symbolizer: symbolizer)
                #expect(try CrashReport.decode(report.encoded()).id == "A")
            }
        }
    }

    @Test func truncatedPageGivesAReportThatSaysSo() async throws {
        let original = try await Self.realPage()
        try await FakeSupervisor.onThread {
            let symbolizer = Symbolizer()
            for length in [
                0, 1, 127, 128, 4096, 100_000, Int(GRANITE_OFFSET_CAPTURE.rawValue) + 100, 1 << 20, original.count / 2,
            ] {
                let report = try Self.report(ofPage: Array(original.prefix(length)), symbolizer: symbolizer)
                #expect(report.capture?.errors?.isEmpty == false, "length \(length)")
                #expect(report.reason?.isEmpty == false)
            }
        }
    }

    @Test func memoryServiceThatLiesIsLeftAlone() async throws {
        try await FakeSupervisor.onThread {
            var random = SplitMix(state: 11)
            for round in 0..<60 {
                var ends: [Int32] = [-1, -1]
                #expect(
                    socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
                defer { close(ends[0]) }
                for _ in 0..<Int(random.next() % 40) {
                    var message = (0..<Int(random.next() % 6000)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                    if round % 2 == 0, message.count >= 16 {
                        // A header that fits the question, with a result that does not fit the bytes.
                        let reply = granite_memory_reply(
                            result: Int32(truncatingIfNeeded: random.next()), length: 4096, address: 0x1000)
                        withUnsafeBytes(of: reply) { message.replaceSubrange(0..<16, with: $0) }
                    }
                    _ = message.withUnsafeBytes { Glibc.send(ends[1], $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
                }
                close(ends[1])
                let memory = LiveMemory(socket: ends[0], deadline: granite_monotonic_ns() + 5_000_000_000)
                let answers = memory.read([
                    .init(address: 0x1000, length: 64), .init(address: .max, length: 64), .init(address: 0, length: -1),
                    .init(address: 8, length: Int.max), .init(address: .max - 1, length: 1),
                ])
                #expect(answers.count == 5)
                #expect(answers[1] == nil && answers[2] == nil && answers[3] == nil)
                memory.finish()
            }
        }
    }

    @Test func silentMemoryServiceIsGivenUpAtTheDeadline() async throws {
        let failure = try await FakeSupervisor.onThread {
            var ends: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0 else { throw POSIXError(.EMFILE) }
            defer { ends.forEach { close($0) } }
            let memory = LiveMemory(socket: ends[0], deadline: granite_monotonic_ns() + 20_000_000)
            #expect(memory.read(at: 0x1000, length: 8) == nil)
            return memory.failure
        }
        #expect(failure == "the time for reading the worker's memory is over")
    }

    /// What came after the cap was nil, as if it were not mapped, and the report looked complete.
    @Test func readingMoreThanIsKeptIsTold() async throws {
        let (exhausted, failure) = try await FakeSupervisor.onThread {
            var ends: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0 else { throw POSIXError(.EMFILE) }
            defer { ends.forEach { close($0) } }
            let server = ends[1]
            // A worker in which nothing is mapped.
            Thread {
                var requests = [granite_memory_request](repeating: .init(), count: Int(GRANITE_MEMORY_BATCH))
                let size = MemoryLayout<granite_memory_request>.stride
                while true {
                    let count = requests.withUnsafeMutableBytes { recv(server, $0.baseAddress, $0.count, 0) }
                    guard count > 0 else { return }
                    for request in requests.prefix(count / size) {
                        guard request.operation == GRANITE_MEMORY_READ.rawValue else { return }
                        var reply = granite_memory_reply(result: -EFAULT, length: 0, address: request.address)
                        send(server, &reply, MemoryLayout<granite_memory_reply>.size, Int32(MSG_NOSIGNAL))
                    }
                }
            }.start()
            let memory = LiveMemory(socket: ends[0], deadline: granite_monotonic_ns() + 60_000_000_000)
            defer { memory.finish() }
            let page = UInt64(RemotePages.pageBytes)
            func read(_ numbers: Range<Int>) {
                _ = memory.read(numbers.map { MemoryRange(address: UInt64($0) * page, length: 1) })
            }
            read(1..<RemotePages.maxPages + 1)
            let before = memory.isExhausted
            read(RemotePages.maxPages + 1..<RemotePages.maxPages + 2)
            return ([before, memory.isExhausted], memory.failure)
        }
        #expect(exhausted == [false, true])
        #expect(failure == nil)
    }

    /// After a read that failed the worker was never told, and stood until its own deadline.
    @Test func workerIsLetGoAfterAReadThatFailed() async throws {
        let operations = try await FakeSupervisor.onThread {
            var ends: [Int32] = [-1, -1]
            guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0 else { throw POSIXError(.EMFILE) }
            defer { ends.forEach { close($0) } }
            let memory = LiveMemory(socket: ends[0], deadline: granite_monotonic_ns())
            #expect(memory.read(at: 0x1000, length: 8) == nil)
            #expect(memory.failure != nil)
            memory.finish()
            // A second farewell would end the service of this worker's next capture.
            memory.finish()
            var operations: [UInt32] = []
            var request = granite_memory_request()
            while recv(ends[1], &request, MemoryLayout<granite_memory_request>.size, Int32(MSG_DONTWAIT)) > 0 {
                operations.append(request.operation)
            }
            return operations
        }
        #expect(operations == [GRANITE_MEMORY_READ.rawValue, GRANITE_MEMORY_DONE.rawValue])
    }
}

/// The same numbers in every run (splitmix64).
private struct SplitMix {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
