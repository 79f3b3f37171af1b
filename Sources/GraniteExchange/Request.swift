// Defines a request as bytes in the transport's buffers. It is separate from the exchange because observers see it too.

/// A parsed request. All pointers are into buffers of the transport: valid only while the exchange is the caller's.
package struct Request {
    /// The method, an RFC 9110 token, as sent (case-sensitive).
    package var method: UnsafeRawBufferPointer
    /// The request target exactly as sent: origin-form `/a%20b?x=1`, absolute-form, or `*`.
    package var target: UnsafeRawBufferPointer
    /// The path part of the target, still percent-encoded, without query; "" for `*`.
    package var path: UnsafeRawBufferPointer
    /// After the first `?`, without it; empty if there is none.
    package var query: UnsafeRawBufferPointer
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    package var minorVersion: UInt8
    /// Header fields in order, names as sent, values without surrounding white space. Names with `_` have been dropped
    /// (they could pose as the ones with `-`), see RFC 9110 and CVE-2023-51712's like.
    package var headers: UnsafeBufferPointer<HeaderField>
    /// Start of the buffer that header offsets refer to.
    package var base: UnsafeRawPointer
    /// The whole body: the transport reads it before the application is called.
    package var body: RequestBody
    /// The peer's address as text without port ("127.0.0.1", "::1"; "" on a Unix socket), UTF-8.
    package var remoteAddress: UnsafeRawBufferPointer
    /// The peer's port; 0 on a Unix socket.
    package var remotePort: UInt16
    /// Number of this request in the worker, from 1; the request id is made from it.
    package var number: UInt64

    package init(
        method: UnsafeRawBufferPointer, target: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer,
        query: UnsafeRawBufferPointer,
        minorVersion: UInt8, headers: UnsafeBufferPointer<HeaderField>, base: UnsafeRawPointer, body: RequestBody,
        remoteAddress: UnsafeRawBufferPointer, remotePort: UInt16, number: UInt64
    ) {
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.minorVersion = minorVersion
        self.headers = headers
        self.base = base
        self.body = body
        self.remoteAddress = remoteAddress
        self.remotePort = remotePort
        self.number = number
    }
}

/// One header line as offsets from ``Request/base``.
package struct HeaderField: Sendable {
    package var nameOffset: UInt32
    package var nameLength: UInt32
    package var valueOffset: UInt32
    package var valueLength: UInt32

    package init(nameOffset: UInt32, nameLength: UInt32, valueOffset: UInt32, valueLength: UInt32) {
        self.nameOffset = nameOffset
        self.nameLength = nameLength
        self.valueOffset = valueOffset
        self.valueLength = valueLength
    }
}

/// A whole request body.
package enum RequestBody {
    /// No body: neither Content-Length nor Transfer-Encoding, or length 0.
    case none
    /// In memory, chunked framing already removed.
    case memory(UnsafeRawBufferPointer)
    /// Spilled to an unlinked temporary file, from offset 0. The descriptor is the transport's.
    case file(descriptor: Int32, length: Int)

    /// Bytes of the body.
    package var length: Int {
        switch self {
        case .none: 0
        case .memory(let bytes): bytes.count
        case .file(_, let length): length
        }
    }
}
