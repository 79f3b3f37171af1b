// Defines how large a request may be. Separate because parser, body reader and command line all name these numbers.

/// Limits of one request. What is larger is refused with the status named here, and the connection closed.
package struct RequestLimits: Sendable {
    /// Bytes of the request line without its line end (414). Apache's default.
    package var maxRequestLineBytes = 8190
    /// Bytes of one header line without its line end (431).
    package var maxHeaderFieldBytes = 8190
    /// Header lines (431). Trailer lines of a chunked body are counted alone, against the same number.
    package var maxHeaderFields = 100
    /// Bytes of the whole head, request line included (431).
    package var maxHeadBytes = 64 * 1024
    /// Bytes of the body, chunked framing removed (413).
    package var maxBodyBytes = 1 << 30
    /// Bytes of a body kept in memory; a longer one is spilled to an unlinked temporary file.
    package var bodyMemoryLimit = 256 * 1024

    package init() {}
}
