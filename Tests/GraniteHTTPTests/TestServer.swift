// A server on port 0 with an application written as a closure, and a client that speaks bytes.

import Foundation
import GraniteExchange
import GraniteHTTP
import Synchronization
import Testing

/// All tests with sockets, one after the other: one of them takes all descriptors.
@Suite(.serialized) struct SocketTests {}

/// Serves until it is stopped or deinitialised; every test has its own.
final class TestServer: Sendable {
    let port: UInt16
    private let server: HTTPServer
    private let listener: Int32
    private let ended = DispatchSemaphore(value: 0)
    private let hasStopped = Mutex(false)

    /// - Parameter respond: called on application threads.
    init(
        _ configuration: ServerConfiguration = ServerConfiguration(), observer: (any ExchangeObserver)? = nil,
        heartbeat: @escaping @Sendable () -> Void = {}, respond: @escaping @Sendable (any Exchange) -> Void
    ) throws {
        (listener, port) = Self.listen()
        server = try HTTPServer(
            configuration: configuration, listeners: [listener], application: ClosureApplication(respond),
            observer: observer,
            heartbeat: heartbeat)
        let thread = Thread { [server, ended] in
            try? server.run()
            ended.signal()
        }
        thread.stackSize = 1 << 20
        thread.start()
    }

    deinit {
        stop()
        close(listener)
    }

    func requestStop() { server.requestStop() }

    /// Stops and waits for the end. Returns whether it ended by itself in time.
    @discardableResult
    func stop() -> Bool {
        hasStopped.withLock { hasStopped in
            if hasStopped { return true }
            server.requestStop()
            hasStopped = ended.wait(timeout: .now() + 20) == .success
            return hasStopped
        }
    }

    private static func listen() -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutableBytes(of: &address) {
            let pointer = $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            precondition(bind(descriptor, pointer, length) == 0 && Foundation.listen(descriptor, 512) == 0)
            getsockname(descriptor, pointer, &length)
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }
}

/// Each thread of it calls the closure; entering is checked to be balanced.
private final class ClosureApplication: Application, ApplicationThread {
    private let closure: @Sendable (any Exchange) -> Void
    private var isEntered = false

    init(_ closure: @escaping @Sendable (any Exchange) -> Void) { self.closure = closure }

    func makeThread() -> any ApplicationThread { ClosureApplication(closure) }

    func enter() {
        precondition(!isEntered)
        isEntered = true
    }

    func leave() {
        precondition(isEntered)
        isEntered = false
    }

    func close() { precondition(!isEntered) }

    func respond(to exchange: any Exchange) {
        precondition(isEntered)
        closure(exchange)
    }
}

/// A blocking connection with a time-out of ten seconds per read.
final class TestClient {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    private let port: UInt16

    init(_ port: UInt16, receiveBuffer: Int32? = nil, connecting: Bool = true) {
        self.port = port
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        if var size = receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4) }
        if connecting { connectNow() }
    }

    func connectNow() {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let connected = withUnsafeBytes(of: &address) {
            connect(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
        precondition(connected == 0, "connect: \(errno)")
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(latin1(text)) }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Closes with a reset: the server's next send fails.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        var address = sockaddr(sa_family: sa_family_t(AF_UNSPEC), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        connect(descriptor, &address, socklen_t(MemoryLayout<sockaddr>.size))
    }

    /// Reads until `end` was seen, or the peer closed, or time is up; returns what was read up to and with `end`.
    func read(until end: String) -> String {
        let pattern = latin1(end)
        while true {
            if let range = buffer.firstRange(of: pattern) {
                defer { buffer.removeFirst(range.upperBound) }
                return string(buffer[..<range.upperBound])
            }
            if !fill() {
                defer { buffer = [] }
                return string(buffer[...])
            }
        }
    }

    func read(count: Int) -> [UInt8] {
        while buffer.count < count, fill() {}
        let taken = Array(buffer.prefix(count))
        buffer.removeFirst(taken.count)
        return taken
    }

    /// Everything until the peer closes; "<reset>" at the end when it was not an orderly close, "<timeout>" when it
    /// never closed.
    func readToEnd() -> String {
        while fill() {}
        defer { buffer = [] }
        return string(buffer[...]) + (lastError == ECONNRESET ? "<reset>" : lastError == 0 ? "" : "<timeout>")
    }

    /// A response with Content-Length: its head without Date, and its body.
    func response() -> (head: String, body: String) {
        let head = read(until: "\r\n\r\n")
        let lines = head.components(separatedBy: "\r\n")
        let length =
            lines.first { $0.lowercased().hasPrefix("content-length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
        return (
            lines.filter { !$0.hasPrefix("Date: ") && !$0.isEmpty }.joined(separator: "\n"),
            string(read(count: length)[...])
        )
    }

    private var lastError: Int32 = 0

    private func fill() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        lastError = count < 0 ? errno : 0
        if count <= 0 { return false }
        buffer += chunk[..<count]
        return true
    }

    private func string(_ bytes: ArraySlice<UInt8>) -> String { bytes.withUnsafeBytes { latin1($0) } }
}

extension Exchange {
    /// A whole response with a known body.
    func answer(_ body: String, status: Int = 200, headers: [(String, String)] = []) {
        start(status: status, headers: headers)
        commit(bodyLength: body.utf8.count)
        _ = write(body)
        finish()
    }

    func start(status: Int = 200, headers: [(String, String)] = []) {
        Array("OK".utf8).withUnsafeBytes { begin(status: status, reason: $0) }
        for (name, value) in headers {
            Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { addHeader(name: name, value: $0) }
            }
        }
    }

    func write(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { write($0) } }

    var target: String { latin1(request.target) }

    var bodyBytes: [UInt8] {
        switch request.body {
        case .none: return []
        case .memory(let bytes): return Array(bytes)
        case .file(let descriptor, let length):
            var bytes = [UInt8](repeating: 0, count: length)
            precondition(pread(descriptor, &bytes, length, 0) == length)
            return bytes
        }
    }
}
