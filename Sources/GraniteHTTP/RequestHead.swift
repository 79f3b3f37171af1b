// Defines a parsed head as offsets into the connection's buffer. Separate from the parser: the body reader and the
// connection read it.

/// A stretch of the connection's buffer.
struct ByteRange: Equatable, Sendable {
    var offset: UInt32 = 0
    var length: UInt32 = 0

    init() {}

    init(_ start: Int, _ end: Int) {
        // A head is at most maxHeadBytes long; the precondition in RequestParser.init keeps that far below UInt32.max.
        offset = UInt32(truncatingIfNeeded: start)
        length = UInt32(truncatingIfNeeded: end &- start)
    }

    @inline(__always)
    func bytes(in base: UnsafePointer<UInt8>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + Int(offset), count: Int(length))
    }
}

/// What the head of a request says about the message itself.
struct RequestHead: Sendable {
    var method = ByteRange()
    var target = ByteRange()
    var path = ByteRange()
    var query = ByteRange()
    /// The authority of an absolute-form target, else empty.
    var authority = ByteRange()
    var host = ByteRange()
    var minorVersion: UInt8 = 1
    /// An absolute-form target without a path means "/" (RFC 9112 section 3.2.1).
    var pathIsRoot = false
    var isHEAD = false
    var hostCount: UInt8 = 0
    var contentLength: Int?
    var isChunked = false
    var expectsContinue = false
    var connectionClose = false
    var connectionKeepAlive = false
    /// Header lines kept, and seen (those with `_` in the name are seen and dropped).
    var fieldCount = 0
    var linesSeen = 0
    /// Bytes of the head, the empty line included.
    var length = 0

    /// Whether the client wants the connection kept (RFC 9112 section 9.3).
    var keepAlive: Bool { !connectionClose && (minorVersion == 1 || connectionKeepAlive) }
}
