// The worker serves its memory while it is held, and never longer than the deadline.

import CGraniteCapture
import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct MemoryServerTests {
    private static func read(_ address: UInt64, _ length: UInt32) -> granite_memory_request {
        granite_memory_request(operation: GRANITE_MEMORY_READ.rawValue, length: length, address: address)
    }

    @Test func aBatchIsAnsweredInOrderAndEqualsTheSnapshot() async throws {
        let run = try await ProbeRun.run("null-read") { page, socket in
            let snapshot = try page.snapshot()
            let stack = try #require(snapshot.segments.first { $0.kind == .stack })
            try socket.send((0..<8).map { Self.read(stack.address + $0 * 8, 8) })
            for index in 0..<8 {
                let (header, bytes) = try socket.receiveReply()
                #expect(header.result == 8)
                #expect(header.address == stack.address + UInt64(index) * 8)
                #expect(bytes == snapshot.memory(at: header.address, length: 8).map(Array.init))
            }
            try socket.finish()
        }
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == [])
    }

    @Test(arguments: [0, 8, 0x1000, 0xffff_8000_0000_0000, 0xdead_4141_dead_beef, UInt64.max - 4, UInt64.max])
    func aBadAddressIsAnErrorNotASecondFault(_ address: UInt64) async throws {
        let run = try await ProbeRun.run("null-read") { _, socket in
            try socket.send([Self.read(address, 64), Self.read(address, 65536), Self.read(address, 0)])
            for expected in [-EFAULT, -EFAULT, 0] {
                let (header, bytes) = try socket.receiveReply()
                #expect(header.result == expected)
                #expect(header.length == 0)
                #expect(bytes.isEmpty)
            }
            try socket.finish()
        }
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == [])
    }

    @Test func aRangeThatEndsInUnmappedMemoryIsCutAtThePage() async throws {
        let run = try await ProbeRun.run("null-read") { page, socket in
            let stack = try #require(
                String(decoding: try page.maps(), as: UTF8.self).split(separator: "\n").first {
                    $0.hasSuffix("[stack]")
                })
            let end = try #require(UInt64(stack.split(separator: " ")[0].split(separator: "-")[1], radix: 16))
            try socket.send([Self.read(end - 5000, 65536)])
            let (header, bytes) = try socket.receiveReply()
            #expect(header.result == 5000)
            #expect(bytes.count == 5000)
            try socket.finish()
        }
        #expect(run.ending == .signal(SIGSEGV))
    }

    @Test func aLongReadIsCutToTheProtocolsLimit() async throws {
        let run = try await ProbeRun.run("null-read") { page, socket in
            let vdso = try #require(try page.snapshot().segments.first { $0.kind == .vdso })
            try socket.send([Self.read(vdso.address, UInt32.max)])
            #expect(try socket.receiveReply().header.result <= Int32(GRANITE_MEMORY_MAX_READ))
            try socket.finish()
        }
        #expect(run.ending == .signal(SIGSEGV))
    }

    @Test func aCollectorThatHangsHoldsTheWorkerToTheDeadlineOnly() async throws {
        let run = try await ProbeRun.run("null-read", serveDeadline: .milliseconds(200), collector: ProbeRun.hung)
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == .collectorTimeout)
        #expect(try run.page.capture().stage == .finished)
    }

    /// The socket's buffer fills up: waiting for room is under the same deadline.
    @Test func aCollectorThatNeverReadsHoldsTheWorkerToTheDeadlineOnly() async throws {
        let run = try await ProbeRun.run("null-read", serveDeadline: .milliseconds(200)) { page, socket in
            let stack = try #require(try page.snapshot().segments.first { $0.kind == .stack })
            try socket.send((0..<64).map { _ in Self.read(stack.address & ~0xfff, 65536) })
            try socket.send((0..<64).map { _ in Self.read(stack.address, 4096) })
        }
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == .collectorTimeout)
    }

    @Test func aCollectorThatAsksWithoutEndIsLateToo() async throws {
        let run = try await ProbeRun.run("null-read", serveDeadline: .milliseconds(200)) { _, socket in
            while (try? socket.send([Self.read(0, 8)])) != nil, (try? socket.receiveReply()) != nil {}
        }
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == .collectorTimeout)
    }

    @Test func messagesThatAreNotRequestsAreIgnored() async throws {
        let run = try await ProbeRun.run("null-read") { _, socket in
            _ = Glibc.send(socket.descriptor, "xyz", 3, 0)
            try socket.send([granite_memory_request(operation: 99, length: 8, address: 0)])
            try socket.finish()
        }
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == [])
    }
}
