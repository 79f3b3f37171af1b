// Defines the access line: one per response, written by workers. It is separate from events because it is made for every
// request: bytes in, bytes out, nothing allocated once the buffer has grown.

/// One response, as bytes of the request that lie in the transport's buffers: valid only during the call.
package struct AccessLine {
    package var requestID: UnsafeRawBufferPointer
    package var method: UnsafeRawBufferPointer
    package var target: UnsafeRawBufferPointer
    /// The peer's address as text; empty on a Unix socket.
    package var remote: UnsafeRawBufferPointer
    /// As sent; 0 if the client was gone before a head was sent.
    package var status: Int
    /// Of the response body, before chunked framing.
    package var bodyBytes: Int
    package var queuedNanoseconds: UInt64
    package var applicationNanoseconds: UInt64

    package init(
        requestID: UnsafeRawBufferPointer, method: UnsafeRawBufferPointer, target: UnsafeRawBufferPointer,
        remote: UnsafeRawBufferPointer, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64,
        applicationNanoseconds: UInt64
    ) {
        self.requestID = requestID
        self.method = method
        self.target = target
        self.remote = remote
        self.status = status
        self.bodyBytes = bodyBytes
        self.queuedNanoseconds = queuedNanoseconds
        self.applicationNanoseconds = applicationNanoseconds
    }
}

/// Writes access lines of one worker. A value belongs to one thread.
package struct AccessLineFormatter: Sendable {
    private let format: LogFormat
    private let slot: Int
    private let pid: Int
    private var timestamp = LogTimestamp()

    package init(format: LogFormat, slot: Int, pid: Int32) {
        self.format = format
        self.slot = slot
        self.pid = Int(pid)
    }

    /// Appends one line with its newline. Write the buffer with whole lines only, by one write(2).
    ///
    /// - Parameter time: nanoseconds since 1970.
    package mutating func append(_ line: AccessLine, time: UInt64, to buffer: inout [UInt8]) {
        switch format {
        case .json: appendJSON(line, time: time, to: &buffer)
        case .text: appendText(line, time: time, to: &buffer)
        }
    }

    private mutating func appendJSON(_ line: AccessLine, time: UInt64, to buffer: inout [UInt8]) {
        buffer.append(literal: "{\"time\":\"")
        timestamp.append(nanoseconds: time, to: &buffer)
        buffer.append(literal: "\",\"level\":\"info\",\"event\":\"access\",\"worker\":{\"slot\":")
        buffer.appendDecimal(slot)
        buffer.append(literal: ",\"pid\":")
        buffer.appendDecimal(pid)
        buffer.append(literal: "},\"request_id\":")
        buffer.appendJSONString(line.requestID)
        buffer.append(literal: ",\"remote\":")
        buffer.appendJSONString(line.remote)
        buffer.append(literal: ",\"method\":")
        buffer.appendJSONString(line.method)
        buffer.append(literal: ",\"target\":")
        buffer.appendJSONString(line.target)
        buffer.append(literal: ",\"status\":")
        buffer.appendDecimal(line.status)
        buffer.append(literal: ",\"bytes\":")
        buffer.appendDecimal(line.bodyBytes)
        buffer.append(literal: ",\"queue_ms\":")
        buffer.appendMilliseconds(nanoseconds: line.queuedNanoseconds)
        buffer.append(literal: ",\"app_ms\":")
        buffer.appendMilliseconds(nanoseconds: line.applicationNanoseconds)
        buffer.append(literal: "}\n")
    }

    /// `2026-11-24T13:40:12.345Z info    127.0.0.1 "GET /?x=1" 200 5 B in 2.113 ms (queued 0.040 ms) · worker 2 request 7f3c9a`
    private mutating func appendText(_ line: AccessLine, time: UInt64, to buffer: inout [UInt8]) {
        timestamp.append(nanoseconds: time, to: &buffer)
        buffer.append(literal: " info    ")
        if line.remote.isEmpty { buffer.append(literal: "-") } else { buffer.appendEscaped(line.remote) }
        buffer.append(literal: " \"")
        buffer.appendEscaped(line.method)
        buffer.append(literal: " ")
        buffer.appendEscaped(line.target)
        buffer.append(literal: "\" ")
        buffer.appendDecimal(line.status)
        buffer.append(literal: " ")
        buffer.appendDecimal(line.bodyBytes)
        buffer.append(literal: " B in ")
        buffer.appendMilliseconds(nanoseconds: line.applicationNanoseconds)
        buffer.append(literal: " ms (queued ")
        buffer.appendMilliseconds(nanoseconds: line.queuedNanoseconds)
        buffer.append(literal: " ms) · worker ")
        buffer.appendDecimal(slot)
        buffer.append(literal: " request ")
        buffer.appendEscaped(line.requestID)
        buffer.append(literal: "\n")
    }
}

extension [UInt8] {
    /// Appends constant text without making a String.
    fileprivate mutating func append(literal: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends bytes for a readable line: all but printable ASCII, and quotes and backslashes, as `\x1b`, as nginx does.
    fileprivate mutating func appendEscaped(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes {
            if byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
                append(byte)
            } else {
                append(literal: "\\x")
                append(hexadecimalDigit(byte >> 4))
                append(hexadecimalDigit(byte & 15))
            }
        }
    }
}
