// Defines how a whole request is taken from a connection's bytes: head, then body, in memory or spilled. Pure: it does
// no I/O. Separate from the event loop, so that every split of the stream can be tested without a socket.

import GraniteExchange

/// Reads one request after the other from an ``InputBuffer``.
struct RequestReader: ~Copyable {
    /// What has to happen next.
    enum Step: Equatable {
        /// Read more bytes. `begun` is false before the first byte of a request.
        case needsHead(begun: Bool)
        /// Read more bytes of the body. `wantsContinue`: the client waits for "100 Continue" and has sent no body byte.
        case needsBody(wantsContinue: Bool)
        /// Write ``spillBytes(of:)`` to the request's file, then call ``didSpill(_:)``.
        case spill
        /// The request is whole.
        case complete
        case rejected(Rejection)
    }

    private enum Phase {
        case head
        case fixed(length: Int)
        case chunked
        case complete
    }

    /// Spilled bodies are written in pieces of at least this.
    static let spillPiece = 64 * 1024

    private var parser: RequestParser
    private var decoder = ChunkedDecoder()
    private let limits: RequestLimits
    private var phase = Phase.head
    /// Body bytes in memory are `[head.length ..< bodyEnd]`, those not decoded yet `[raw ..< count]`.
    private var bodyEnd = 0
    private var raw = 0
    private var spilled = 0
    private var isSpilling = false

    init(limits: RequestLimits) {
        self.limits = limits
        parser = RequestParser(limits: limits)
    }

    var head: RequestHead { parser.head }
    var fields: UnsafeMutablePointer<HeaderField> { parser.fields }
    /// Body bytes so far, chunked framing removed.
    var bodyLength: Int { spilled + bodyEnd - parser.head.length }
    var isComplete: Bool { if case .complete = phase { true } else { false } }

    /// Whether the buffer holds bytes behind the request.
    func hasInput(after input: borrowing InputBuffer) -> Bool { input.count > raw }

    /// Takes what the buffer holds.
    mutating func advance(_ input: inout InputBuffer) -> Step {
        while true {
            switch phase {
            case .head:
                if input.count == 0 { return .needsHead(begun: false) }
                switch parser.parse(input.base, count: input.count) {
                case .incomplete: return .needsHead(begun: true)
                case .rejected(let rejection): return .rejected(rejection)
                case .complete: break
                }
                if let rejection = beginBody() { return .rejected(rejection) }
            case .fixed(let length):
                bodyEnd = min(input.count, parser.head.length + length - spilled)
                raw = bodyEnd
                if bodyLength == length {
                    if isSpilling && bodyEnd > parser.head.length { return .spill }
                    phase = .complete
                } else if isSpilling && bodyEnd - parser.head.length >= Self.spillPiece {
                    return .spill
                } else {
                    return .needsBody(wantsContinue: parser.head.expectsContinue && bodyLength == 0)
                }
            case .chunked:
                let outcome = decoder.decode(input.base, end: &bodyEnd, raw: &raw, count: input.count, limits: limits)
                if case .rejected(let rejection) = outcome { return .rejected(rejection) }
                let inMemory = bodyEnd - parser.head.length
                if !isSpilling && inMemory > limits.bodyMemoryLimit { isSpilling = true }
                if isSpilling && (inMemory >= Self.spillPiece || outcome == .complete && inMemory > 0) {
                    if outcome == .complete { phase = .complete }
                    return .spill
                }
                if outcome == .complete {
                    phase = .complete
                } else {
                    let untouched = bodyLength == 0 && raw == parser.head.length && input.count == raw
                    input.close(gapFrom: bodyEnd, to: raw)
                    raw = bodyEnd
                    return .needsBody(wantsContinue: parser.head.expectsContinue && untouched)
                }
            case .complete:
                return .complete
            }
        }
    }

    private mutating func beginBody() -> Rejection? {
        bodyEnd = parser.head.length
        raw = bodyEnd
        if parser.head.isChunked {
            phase = .chunked
        } else if let length = parser.head.contentLength, length > 0 {
            if length > limits.maxBodyBytes { return .bodyTooLarge }
            isSpilling = length > limits.bodyMemoryLimit
            phase = .fixed(length: length)
        } else {
            phase = .complete
        }
        return nil
    }

    /// The body bytes to write to the file now.
    func spillBytes(of input: borrowing InputBuffer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: input.base + parser.head.length, count: bodyEnd - parser.head.length)
    }

    mutating func didSpill(_ input: inout InputBuffer) {
        spilled += bodyEnd - parser.head.length
        input.close(gapFrom: parser.head.length, to: raw)
        bodyEnd = parser.head.length
        raw = bodyEnd
    }

    /// How many bytes to make room for before the next read.
    func wantedRoom(_ input: borrowing InputBuffer) -> Int {
        switch phase {
        case .head, .complete: return 1
        case .chunked: return 4096
        case .fixed(let length):
            if isSpilling { return Self.spillPiece }
            // Doubling, not the announced length at once: memory follows what was sent, not what was promised.
            return min(length - bodyLength, max(4096, input.count))
        }
    }

    /// Forgets the request; the next one starts at offset 0 of `input`.
    mutating func next(_ input: inout InputBuffer) {
        input.consume(raw)
        parser.reset()
        phase = .head
        bodyEnd = 0
        raw = 0
        isSpilling = false
        spilled = 0
        decoder = ChunkedDecoder()
    }

    /// The body as the application gets it; `descriptor` is the file of a spilled one.
    func body(_ input: borrowing InputBuffer, descriptor: Int32) -> RequestBody {
        if spilled > 0 { return .file(descriptor: descriptor, length: bodyLength) }
        let length = bodyEnd - parser.head.length
        if length == 0 { return .none }
        return .memory(UnsafeRawBufferPointer(start: input.base + parser.head.length, count: length))
    }
}
