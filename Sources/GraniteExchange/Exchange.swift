// Defines the seam between transport and application: one request with its response, and who may serve it.
// It is separate so that HTTP knows nothing of Python, and Python nothing of sockets.

/// One request and the response to it. The transport makes it, the application answers it.
///
/// An exchange belongs to one thread at a time: from ``ApplicationThread/respond(to:)`` until that call returns it is
/// the application thread's, and everything that `request` points at stays valid and unmoved.
package protocol Exchange: AnyObject {
    /// The request as the client sent it, already checked to be strictly valid HTTP.
    var request: Request { get }

    /// Starts the response. May be called again until ``commit(bodyLength:)``; what was begun before is forgotten (PEP
    /// 3333, `exc_info`).
    ///
    /// - Parameters:
    ///   - status: 100 to 599.
    ///   - reason: the reason phrase, bytes of latin-1 without control characters; may be empty.
    func begin(status: Int, reason: UnsafeRawBufferPointer)

    /// Adds one header line to the begun response. Name and value have been validated by the caller (RFC 9110 token, no
    /// CR, LF or NUL). `Connection`, `Transfer-Encoding` and other hop-by-hop names must not be passed;
    /// `Content-Length` may.
    func addHeader(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)

    /// Ends the head: framing (Content-Length, chunked or close), Date, Server and Connection are decided here.
    ///
    /// - Parameter bodyLength: the whole body's length if it is known and the application gave no Content-Length, else
    ///   nil.
    func commit(bodyLength: Int?)

    /// Whether ``commit(bodyLength:)`` was called since the exchange began: from here on errors cannot become a 500.
    var isCommitted: Bool { get }

    /// Once committed: whether body bytes reach the client. False for HEAD, 204 and 304: then producing them may be
    /// left out, and an endless body must be. True by default.
    var wantsBody: Bool { get }

    /// Whether the socket refused bytes that are still here: then the next ``write(_:)`` or ``flush()`` waits for the
    /// client, as long as the write time-out allows. While it is false neither waits: they try once and keep what the
    /// socket refuses. Cheap; application thread only.
    ///
    /// So: write and flush with the GIL; where `mayBlock` is true afterwards, release the GIL and ``flush()`` again,
    /// which returns when the socket has taken everything. (After the last write don't: ``finish()`` leaves the rest to
    /// the transport.)
    var mayBlock: Bool { get }

    /// Adds body bytes, copied before return: framed, cut to Content-Length, dropped for HEAD, 204 and 304.
    /// Waits only if ``mayBlock``: then call it without the GIL. A client that takes bytes more slowly than the
    /// transport's minimum rate is given up after a while: it holds the application thread.
    ///
    /// - Returns: false when the client is gone: stop producing.
    func write(_ bytes: UnsafeRawBufferPointer) -> Bool

    /// Puts what was written so far on its way to the client now (PEP 3333: as yielded). Waits only if ``mayBlock``, as
    /// ``write(_:)``.
    ///
    /// - Returns: false when the client is gone: stop producing.
    func flush() -> Bool

    /// Sends `length` bytes of a file from `offset` as body (wsgi.file_wrapper); the descriptor stays the caller's, and
    /// may be closed once this has returned: what the client does not take at once the transport sends later, from a
    /// copy of the descriptor, and closes the connection if the file ends early. May block on the disk: call it without
    /// the GIL.
    ///
    /// - Returns: false when the client is gone or the file ended early.
    func sendFile(descriptor: Int32, offset: Int, length: Int) -> Bool

    /// Ends the response. A body shorter than its Content-Length closes the connection, so that the client sees the
    /// truncation.
    func finish()

    /// Ends the exchange after an error: a plain 500 if nothing was committed, else the connection is cut so that the
    /// client cannot take the body for complete.
    func fail()
}

/// Serves requests: made once per worker, asked for one ``ApplicationThread`` per thread that will call it.
package protocol Application: AnyObject {
    /// Called once on each thread that will serve requests, the first time on the interpreter's main thread.
    func makeThread() -> any ApplicationThread
}

/// An application as one thread sees it. Not Sendable: made, used and closed on the same thread.
package protocol ApplicationThread: AnyObject {
    /// Before a batch of calls: takes the GIL.
    func enter()
    /// Serves one request, entered. Returns when the exchange was finished or failed. Never throws: errors become
    /// responses.
    func respond(to exchange: any Exchange)
    /// After a batch: releases the GIL, before the thread may sleep.
    func leave()
    /// The thread will serve no more.
    func close()
}

/// Told of each exchange on the application thread, right around the call. Makes no system call.
package protocol ExchangeObserver: AnyObject, Sendable {
    /// A request was refused by the transport, and no application will see it (400, 408, 413, 414, 417, 431, 501, 503,
    /// 505). On the event loop's thread, outside the application. Does nothing by default.
    ///
    /// - Parameters:
    ///   - request: what is known of it: always the peer and a number; method and target if its first line could be
    ///     read, else empty; nothing else. Valid during the call.
    ///   - queuedNanoseconds: how long it waited for the application, else 0.
    func didReject(_ request: Request, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64)
    /// - Parameter thread: index of the application thread, 0 to `applicationThreads - 1`.
    func willRespond(to request: Request, thread: Int)
    /// - Parameters:
    ///   - status: as sent; 0 if the client was gone before a head was sent.
    ///   - bodyBytes: body bytes of the response, before chunked framing.
    ///   - queuedNanoseconds: from the request being complete to the call.
    ///   - applicationNanoseconds: in the application.
    func didRespond(
        to request: Request, thread: Int, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64,
        applicationNanoseconds: UInt64)
}

extension Exchange {
    /// An exchange that keeps everything in memory never waits.
    package var mayBlock: Bool { false }
    package var wantsBody: Bool { true }
}

extension ExchangeObserver {
    package func didReject(_ request: Request, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64) {}
}
