// Defines the response side of an exchange: head, framing and the way out, one buffer and one send for an ordinary
// response. Separate from the connection, which decides what becomes of the stream afterwards.

import CLinux
import Glibc
import GraniteExchange

/// Told when an application thread is about to wait for a client, so that the event loop does not wait with it.
protocol WaitObserver: AnyObject {
    func applicationThreadWillWait()
}

/// Writes one response after the other of a connection. The thread that answers the request owns it, then the loop
/// again.
final class ResponseWriter: Exchange {
    enum Framing: Equatable {
        /// HEAD, 204, 304: a head alone.
        case headOnly
        case fixed(remaining: Int)
        case chunked
        case untilClose
    }

    /// Above this an append tries to send first, and bytes are sent from where they are instead of being copied.
    static let highWaterBytes = 512 * 1024

    private(set) var request = Request.empty
    var output = OutputBuffer()
    /// What is left of a file that is part of the response; it comes after `output`.
    var file: PendingFile?
    let transport: any Transport
    private let stopSign: StopSign
    private var patience: ClientPatience
    /// Bytes of this response that the client took.
    private var takenBytes: UInt64 = 0
    private var date = DateHeader()
    private weak var waiting: (any WaitObserver)?
    var framing = Framing.headOnly
    private var declaredLength: Int?
    /// Bytes in the buffer that belong to no response: a "100 Continue" that the socket refused.
    private var unsentBefore = 0
    private var hasDate = false
    private var hasServer = false
    private var isHEAD = false
    /// The socket refused bytes since the output was last empty.
    var wasRefused = false

    private(set) var isCommitted = false
    private(set) var isFinished = false
    /// The client is gone, or took nothing for as long as the write time-out.
    var isGone = false
    /// Whether the connection serves another request after this one.
    private(set) var keepsConnection = false
    /// The body was cut short in a way that only a reset tells the client.
    private(set) var needsReset = false
    private(set) var status = 0
    /// Body bytes of the response, before chunked framing.
    var bodyBytes = 0

    init(transport: any Transport, patience: ClientPatience, stopSign: StopSign) {
        self.transport = transport
        self.patience = patience
        self.stopSign = stopSign
    }

    deinit { closeFile() }

    /// Whether something of the response waits for the client.
    var hasUnsent: Bool { output.count > 0 || file != nil }

    /// Whether ``send()`` stopped for the other connections' sake: no event will tell when to go on.
    var isInterrupted: Bool { file != nil && !wasRefused && !isGone }

    /// Makes ready for the next response; what went before has been sent.
    func prepare(_ request: Request, isHEAD: Bool, keepsConnection: Bool) {
        self.request = request
        self.isHEAD = isHEAD
        self.keepsConnection = keepsConnection
        framing = .headOnly
        isCommitted = false
        isFinished = false
        status = 0
        bodyBytes = 0
        unsentBefore = output.count
        takenBytes = 0
        patience.reset()
        begin()
    }

    /// Names the thread that will answer: its clock face, and whom to tell before it waits.
    func assign(date: DateHeader, waiting: (any WaitObserver)?) {
        if self.date !== date {
            self.date = date
            self.waiting = waiting
        }
    }

    private func begin() {
        declaredLength = nil
        hasDate = false
        hasServer = false
    }

    // MARK: - Exchange

    func begin(status: Int, reason: UnsafeRawBufferPointer) {
        precondition(!isCommitted && (100...599).contains(status))
        // Nothing is sent between prepare and commit, so what came since is the response that was begun before.
        output.truncate(toUnsent: unsentBefore)
        begin()
        self.status = status
        if status == 200 && reason.count == 2 {
            output.append("HTTP/1.1 200 OK\r\n")
            return
        }
        output.append("HTTP/1.1 ")
        output.append(decimal: status)
        output.append(" ")
        output.append(reason)
        output.append("\r\n")
    }

    func addHeader(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        switch name.count {
        case 4 where equalIgnoringCase(name, "date"): hasDate = true
        case 6 where equalIgnoringCase(name, "server"): hasServer = true
        case 14 where equalIgnoringCase(name, "content-length"):
            // Written at commit: 204 must not have it, and the last one counts.
            declaredLength = Self.parseLength(value)
            return
        default: break
        }
        output.append(name: name, value: value)
    }

    func commit(bodyLength: Int?) {
        precondition(!isCommitted && status != 0)
        isCommitted = true
        if stopSign.isOn { keepsConnection = false }
        let hasNoContent = status < 200 || status == 204
        // RFC 9110 section 8.6: with HEAD and 304 Content-Length is what a GET would get. The application knows; that
        // it gave no body here does not mean 0.
        let isUnknown = status == 304 || (isHEAD && bodyLength == 0)
        let length = declaredLength ?? (isUnknown ? nil : bodyLength)
        if let length, !hasNoContent {
            output.append("Content-Length: ")
            output.append(decimal: length)
            output.append("\r\n")
        }
        if isHEAD || hasNoContent || status == 304 {
            framing = .headOnly
        } else if let length {
            framing = .fixed(remaining: length)
        } else if request.minorVersion == 1 {
            framing = .chunked
            output.append("Transfer-Encoding: chunked\r\n")
        } else {
            framing = .untilClose
            keepsConnection = false
        }
        if !hasServer { output.append("Server: granite\r\n") }
        if !hasDate {
            output.append("Date: ")
            output.append(date.value(now: granite_monotonic_ns()))
            output.append("\r\n")
        }
        if !keepsConnection {
            output.append("Connection: close\r\n\r\n")
        } else if request.minorVersion == 0 {
            output.append("Connection: keep-alive\r\n\r\n")
        } else {
            output.append("\r\n")
        }
    }

    var wantsBody: Bool { framing != .headOnly }

    var mayBlock: Bool { (wasRefused || file != nil) && !isGone }

    func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if isGone || !isCommitted || isFinished { return false }
        var bytes = bytes
        switch framing {
        case .headOnly:
            return true
        case .fixed(let remaining):
            if bytes.count > remaining { bytes = UnsafeRawBufferPointer(rebasing: bytes[..<remaining]) }
            framing = .fixed(remaining: remaining - bytes.count)
        case .chunked, .untilClose:
            break
        }
        if bytes.isEmpty { return true }
        bodyBytes += bytes.count
        if mayBlock && !waitForRoom(Self.highWaterBytes / 2) { return false }
        if framing == .chunked {
            output.append(hexadecimal: bytes.count)
            output.append("\r\n")
            append(bytes)
            output.append("\r\n")
        } else {
            append(bytes)
        }
        return !isGone
    }

    func flush() -> Bool {
        if mayBlock { return waitForRoom(0) }
        return send()
    }

    func finish() {
        if isFinished { return }
        precondition(isCommitted)
        isFinished = true
        switch framing {
        // Behind a file that is still on its way the end is written when that has been sent.
        case .chunked: if file == nil { output.append("0\r\n\r\n") }
        case .fixed(let remaining) where remaining > 0: keepsConnection = false
        case .fixed, .headOnly, .untilClose: break
        }
    }

    func fail() {
        if isFinished { return }
        if isCommitted {
            cut()
        } else {
            respond(status: 500, reason: "Internal Server Error", text: "the application failed")
        }
    }

    // MARK: - The transport's own responses

    /// Answers with a line of text, in place of whatever was begun.
    func respond(status: Int, reason: StaticString, text: StaticString, retryAfter seconds: Int? = nil) {
        begin(status: status, reason: UnsafeRawBufferPointer(start: reason.utf8Start, count: reason.utf8CodeUnitCount))
        output.append("Content-Type: text/plain; charset=utf-8\r\n")
        if let seconds {
            output.append("Retry-After: ")
            output.append(decimal: seconds)
            output.append("\r\n")
        }
        commit(bodyLength: text.utf8CodeUnitCount + 1)
        _ = write(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
        let lineEnd: StaticString = "\n"
        _ = write(UnsafeRawBufferPointer(start: lineEnd.utf8Start, count: 1))
        finish()
    }

    /// "100 Continue", ahead of the response.
    func sendContinue() -> Bool {
        output.append("HTTP/1.1 100 Continue\r\n\r\n")
        return send()
    }

    /// Ends a response that can't be completed: without its last chunk or bytes, and where only a reset tells, with
    /// that.
    func cut() {
        closeFile()
        isFinished = true
        keepsConnection = false
        if framing == .untilClose { needsReset = true }
    }

    // MARK: - Bytes out

    /// Sends what the socket takes now. Returns false if the client is gone.
    func send() -> Bool {
        while output.count > 0 && !isGone {
            switch transport.send(output.unsent) {
            case .moved(let count):
                output.consume(count)
                took(count)
            case .wouldBlock:
                wasRefused = true
                return true
            case .failed: isGone = true
            }
        }
        if file != nil && !isGone { return sendPendingFile() }
        wasRefused = false
        return !isGone
    }

    @inline(__always)
    func took(_ bytes: Int) { takenBytes &+= UInt64(truncatingIfNeeded: bytes) }

    private func append(_ bytes: UnsafeRawBufferPointer) {
        if output.count + bytes.count <= Self.highWaterBytes {
            output.append(bytes)
            return
        }
        var rest = bytes
        while !isGone && !(rest.isEmpty && output.count == 0) {
            switch transport.send(output.unsent, then: rest) {
            case .moved(let count):
                let buffered = min(count, output.count)
                output.consume(buffered)
                took(count)
                rest = UnsafeRawBufferPointer(rebasing: rest[(count - buffered)...])
            case .wouldBlock:
                wasRefused = true
                output.append(rest)
                return
            case .failed: isGone = true
            }
        }
    }

    /// Waits until no file and at most `limit` bytes are unsent. Returns false if the client is gone or took nothing in
    /// time.
    func waitForRoom(_ limit: Int) -> Bool {
        while send() && (file != nil || output.count > limit) {
            if wasRefused { waitForClient() }
        }
        return !isGone
    }

    private func waitForClient() {
        waiting?.applicationThreadWillWait()
        let rest = patience.rest(takenBytes: takenBytes)
        let start = granite_monotonic_ns()
        // At least a millisecond, unless nothing is left: 0 would ask without waiting.
        let milliseconds = Int32(truncatingIfNeeded: min((rest + 999_999) / 1_000_000, 1 << 30))
        if rest == 0 || !transport.waitUntilWritable(milliseconds: milliseconds) { isGone = true }
        patience.waited(nanoseconds: granite_monotonic_ns() &- start)
    }

    private static func parseLength(_ value: UnsafeRawBufferPointer) -> Int? {
        guard !value.isEmpty, value.count <= 18 else { return nil }
        var length = 0
        for byte in value {
            let digit = byte &- 0x30
            guard digit <= 9 else { return nil }
            length = length * 10 + Int(digit)
        }
        return length
    }
}

extension Request {
    /// What an exchange shows before its first request, and for one that could not be parsed.
    static var empty: Request {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        return Request(
            method: nothing, target: nothing, path: nothing, query: nothing, minorVersion: 1,
            headers: UnsafeBufferPointer(start: nil, count: 0), base: UnsafeRawPointer(bitPattern: 1)!,  // not null
            body: .none, remoteAddress: nothing, remotePort: 0, number: 0)
    }
}
