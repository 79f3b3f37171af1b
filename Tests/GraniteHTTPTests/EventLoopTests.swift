// The loop by itself, stepped by hand, over connections whose transport does what the test says.

import CLinux
import Foundation
import GraniteExchange
import Testing

@testable import GraniteHTTP

@Suite struct EventLoopTests {
    /// A dead connection in front of the queue made the next one, whatever its age, be answered 503.
    @Test func onlyWhatHasWaitedTooLongItselfIsAnsweredForTheApplication() throws {
        let loop = try Loop()
        let dead = loop.queue(ageNanoseconds: 60_000_000_000)
        dead.connection.mustClose = true
        let old = loop.queue(ageNanoseconds: 60_000_000_000)
        let young = loop.queue(ageNanoseconds: 1_000_000)
        loop.loop.expireQueued()
        #expect(dead.transport.isClosed && dead.transport.sent == "")
        #expect(old.transport.sent.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
        #expect(young.transport.sent == "" && !young.transport.isClosed)
        #expect(loop.loop.popReady() === young.connection)
    }

    @Test func listenersAreWatchedAllOrNone() throws {
        let first = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let second = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(first) }
        let loop = try Loop(listeners: [first, second])
        #expect(loop.loop.isAccepting)
        // What is watched already is no failure.
        #expect(loop.loop.startAccepting())
        loop.loop.stopAccepting()
        close(second)
        #expect(!loop.loop.startAccepting())
        #expect(!loop.loop.isAccepting)
        // Nothing is left in epoll: adding succeeds.
        #expect(granite_epoll_add(loop.loop.epoll, first, 1, nil) == 0)
    }

    @Test func a100ContinueThatTheSocketRefusedIsSentWithTheNextEvent() throws {
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let loop = try Loop()
        let transport = MemoryTransport(reading: ends[0])
        transport.refusals = 1
        let connection = loop.add(transport)
        let events = UInt32(EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLET.rawValue)
        #expect(
            granite_epoll_add(loop.loop.epoll, ends[0], events, Unmanaged.passUnretained(connection).toOpaque()) == 0)
        send(ends[1], "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        loop.turn()
        #expect(transport.sent == "")
        send(ends[1], "a")
        loop.turn()
        #expect(transport.sent == "HTTP/1.1 100 Continue\r\n\r\n")
    }

    private func send(_ descriptor: Int32, _ text: String) {
        #expect(
            Array(text.utf8).withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
                == text.utf8.count)
    }
}

@Suite struct ClientPatienceTests {
    private let second: UInt64 = 1_000_000_000

    @Test func aClientThatTakesBytesAtTheRateIsWaitedForAsLongAsItTakes() {
        var patience = ClientPatience(timeoutNanoseconds: 60 * second, minimumBytesPerSecond: 1000)
        for turn in 1...1000 {
            #expect(patience.rest(takenBytes: UInt64(turn) * 30_000) == 60 * second)
            patience.waited(nanoseconds: 30 * second)
        }
    }

    @Test func aClientThatTakesAByteNowAndThenIsGivenUp() {
        var patience = ClientPatience(timeoutNanoseconds: 60 * second, minimumBytesPerSecond: 1000)
        patience.waited(nanoseconds: 50 * second)
        #expect(patience.rest(takenBytes: 1) == 10 * second + 1_000_000)
        patience.waited(nanoseconds: 50 * second)
        #expect(patience.rest(takenBytes: 2) == 0)
        patience.reset()
        #expect(patience.rest(takenBytes: 0) == 60 * second)
    }

    @Test func withoutARateOnlyTheSingleWaitIsBounded() {
        var patience = ClientPatience(timeoutNanoseconds: 60 * second, minimumBytesPerSecond: 0)
        patience.waited(nanoseconds: 1 << 60)
        #expect(patience.rest(takenBytes: 0) == 60 * second)
    }

    @Test func noNumberOverflows() {
        #expect(nanoseconds(for: .max, at: 1) == 1_000_000_000_000_000_000)
        let patience = ClientPatience(timeoutNanoseconds: .max, minimumBytesPerSecond: 1)
        #expect(patience.rest(takenBytes: .max) == .max)
    }
}

/// A loop on nobody's thread.
private final class Loop {
    let loop: EventLoop
    private let stop = granite_eventfd()

    init(listeners: [Int32] = []) throws {
        var configuration = ServerConfiguration()
        configuration.queueTimeout = .seconds(10)
        loop = try EventLoop(configuration: configuration, listeners: listeners, stopDescriptor: stop)
    }

    deinit { close(stop) }

    func turn() {
        loop.wait(nanoseconds: 0, heldBack: false)
        loop.handleEvents()
    }

    func add(_ transport: MemoryTransport) -> Connection {
        let connection = Connection(
            transport: transport, address: UnsafeRawBufferPointer(start: nil, count: 0), port: 0,
            limits: RequestLimits(),
            state: ConnectionState(acceptedAt: loop.now, loop.timeouts),
            patience: ClientPatience(timeoutNanoseconds: 1, minimumBytesPerSecond: 0), stopSign: loop.stopSign)
        connection.index = loop.connections.count
        loop.connections.append(connection)
        return connection
    }

    /// A connection whose request is whole, and has been for so long.
    func queue(ageNanoseconds: UInt64) -> (connection: Connection, transport: MemoryTransport) {
        let transport = MemoryTransport(reading: -1)
        let connection = add(transport)
        for byte in Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8) {
            withUnsafeBytes(of: byte) { connection.input.append($0) }
        }
        loop.readOn(connection)
        connection.completedAt = loop.now - ageNanoseconds
        return (connection, transport)
    }
}

private final class MemoryTransport: Transport {
    private let descriptor: Int32
    private(set) var sent = ""
    private(set) var isClosed = false
    /// So many sends are refused first.
    var refusals = 0

    init(reading descriptor: Int32) { self.descriptor = descriptor }

    func read(into buffer: UnsafeMutableRawPointer, capacity: Int) -> TransferResult {
        let count = recv(descriptor, buffer, capacity, Int32(MSG_DONTWAIT))
        return count >= 0 ? .moved(count) : .wouldBlock
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> TransferResult {
        if refusals > 0 {
            refusals -= 1
            return .wouldBlock
        }
        sent += latin1(bytes)
        return .moved(bytes.count)
    }

    func send(_ first: UnsafeRawBufferPointer, then second: UnsafeRawBufferPointer) -> TransferResult { send(first) }
    func send(file: Int32, offset: Int, length: Int) -> TransferResult { .failed(EIO) }
    func waitUntilWritable(milliseconds: Int32) -> Bool { false }
    func endOutput() {}
    func cut() {}
    func close(reset: Bool) {
        isClosed = true
        if descriptor >= 0 { Foundation.close(descriptor) }
    }
}

@Suite struct RequestIDTests {
    @Test func theIDIsTheWorkersDigitsAndThenTheNumbers() {
        let ids = RequestIDs(worker: 0x00ab_cdef)
        #expect(RequestIDs.text(ids.id(of: 0x14), digits: RequestIDs.digits) == "00abcdef00000014")
        #expect(ids.prefix + RequestIDs.text(0x14, digits: RequestIDs.numberDigits) == "00abcdef00000014")
        // Beyond 32 bits the last digits count, in all places alike.
        #expect(ids.id(of: 0x5_0000_0001) == ids.id(of: 1))
        #expect(RequestIDs.text(0x5_0000_0001, digits: RequestIDs.numberDigits) == "00000001")
    }
}
