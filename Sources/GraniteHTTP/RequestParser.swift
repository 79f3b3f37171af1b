// Defines the parser of request heads: strict, incremental, over the connection's own buffer, without allocation per
// request. Separate from the body reader, because a head is lines and a body is lengths.

import Glibc
import GraniteExchange

/// Parses the head of one request after the other.
///
/// It looks at whole lines only, limits before content: so what it says does not depend on how the bytes were cut into
/// reads.
struct RequestParser: ~Copyable {
    enum Outcome: Equatable {
        /// More bytes are needed.
        case incomplete
        /// ``head`` and ``fields`` are valid for the buffer that was parsed.
        case complete
        case rejected(Rejection)
    }

    private(set) var head = RequestHead()
    private(set) var fields: UnsafeMutablePointer<HeaderField>
    private var fieldCapacity = 16
    private let limits: RequestLimits
    /// Start of the first line that was not parsed yet.
    private var position = 0
    private var hasRequestLine = false
    private var skippedEmptyLine = false

    init(limits: RequestLimits) {
        precondition(limits.maxHeadBytes < 1 << 30, "offsets of header fields are 32 bits")
        self.limits = limits
        fields = .allocate(capacity: 16)
    }

    deinit { fields.deallocate() }

    /// Forgets the request, ready for the next one at offset 0 of the buffer.
    mutating func reset() {
        head = RequestHead()
        position = 0
        hasRequestLine = false
        skippedEmptyLine = false
    }

    /// Parses on. `bytes` holds the request from its first byte, and what came before must still be there, though it
    /// may have moved.
    mutating func parse(_ bytes: UnsafePointer<UInt8>, count: Int) -> Outcome {
        while true {
            // `position <= count`: it only ever moves behind a line end that was found below `count`.
            guard let newline = memchr(bytes + position, 0x0a, count - position) else {
                return rejectionOfPartialLine(length: count - position).map(Outcome.rejected) ?? .incomplete
            }
            let lineEnd = UnsafeRawPointer(newline) - UnsafeRawPointer(bytes)
            // A line of n bytes and CR LF has its LF at n + 1; a bare LF is refused below whatever its length.
            if let rejection = rejectionOfPartialLine(length: lineEnd - position) { return .rejected(rejection) }
            if lineEnd == position || bytes[lineEnd - 1] != 0x0d { return .rejected(.lineEnd) }
            let start = position
            let end = lineEnd - 1
            position = lineEnd + 1
            if hasRequestLine {
                if start == end { return finish(bytes) }
                if let rejection = parseField(bytes, start, end) { return .rejected(rejection) }
            } else if start == end {
                // RFC 9112 section 2.2: ignore one empty line before the request line; some clients send it after a
                // body.
                if skippedEmptyLine { return .rejected(.requestLine) }
                skippedEmptyLine = true
            } else {
                if let rejection = parseRequestLine(bytes, start, end) { return .rejected(rejection) }
                hasRequestLine = true
            }
        }
    }

    /// - Parameter length: bytes of the line so far, without LF; the CR may be among them.
    @inline(__always)
    private func rejectionOfPartialLine(length: Int) -> Rejection? {
        if !hasRequestLine { return length > limits.maxRequestLineBytes + 1 ? .requestLineTooLong : nil }
        if length > limits.maxHeaderFieldBytes + 1 { return .headerTooLong }
        return position + length > limits.maxHeadBytes ? .headTooLong : nil
    }

    private mutating func parseRequestLine(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Rejection? {
        var i = start
        while i < end && ByteSet.token.contains(bytes[i]) { i += 1 }
        if i == end { return .requestLine }
        if i == start || bytes[i] != 0x20 { return .method }
        head.method = ByteRange(start, i)
        let targetStart = i + 1
        i = targetStart
        while i < end && ByteSet.target.contains(bytes[i]) { i += 1 }
        if i == targetStart || i == end { return .requestLine }
        if bytes[i] != 0x20 { return .target }
        head.target = ByteRange(targetStart, i)
        if let rejection = parseVersion(bytes, i + 1, end) { return rejection }
        return head.parseTarget(bytes, targetStart, i)
    }

    /// Exactly `HTTP/` digit `.` digit (RFC 9112 section 2.3).
    private mutating func parseVersion(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Rejection? {
        guard end - start == 8, equal(bytes + start, "HTTP/"), bytes[start + 6] == 0x2e else { return .requestLine }
        let major = bytes[start + 5] &- 0x30
        let minor = bytes[start + 7] &- 0x30
        guard major <= 9, minor <= 9 else { return .requestLine }
        guard major == 1, minor <= 1 else { return .version }
        head.minorVersion = minor
        return nil
    }

    private mutating func parseField(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Rejection? {
        head.linesSeen += 1
        if head.linesSeen > limits.maxHeaderFields { return .tooManyHeaders }
        let line: FieldLine
        switch FieldLine.parse(bytes, start, end) {
        case .success(let parsed): line = parsed
        case .failure(let rejection): return rejection
        }
        if line.hasUnderscore { return nil }
        if let rejection = head.note(line, bytes) { return rejection }
        if head.fieldCount == fieldCapacity { growFields() }
        fields[head.fieldCount] = HeaderField(
            nameOffset: line.name.offset, nameLength: line.name.length, valueOffset: line.value.offset,
            valueLength: line.value.length)
        head.fieldCount += 1
        return nil
    }

    private mutating func growFields() {
        let larger = UnsafeMutablePointer<HeaderField>.allocate(capacity: fieldCapacity * 2)
        larger.update(from: fields, count: fieldCapacity)
        fields.deallocate()
        fields = larger
        fieldCapacity *= 2
    }

    /// The empty line was met: what can only be judged with all fields known.
    private mutating func finish(_ bytes: UnsafePointer<UInt8>) -> Outcome {
        head.length = position
        return head.judge(bytes).map(Outcome.rejected) ?? .complete
    }
}

/// Whether the bytes at `pointer`, as many as `text` has and known to be readable, are `text`.
@inline(__always)
func equal(_ pointer: UnsafePointer<UInt8>, _ text: StaticString) -> Bool {
    memcmp(pointer, text.utf8Start, text.utf8CodeUnitCount) == 0
}
