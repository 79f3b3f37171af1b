// Defines how a worker serves. Separate from the server, because the command line maps to it in one place.

/// Options of an ``HTTPServer``.
package struct ServerConfiguration: Sendable {
    /// Threads that run the application, 1 to 512. With 1 it is always the thread that called ``HTTPServer/run()``.
    package var applicationThreads = 1
    /// With one application thread: serve on it unless a call takes long. For when workers fill the cores, so that a
    /// second thread has none to itself.
    package var preferInline = false
    /// Requests dispatched and not yet answered, at most; connections never count. 1 to 32768.
    package var backpressure = 1024
    /// How long a whole request may wait beyond ``backpressure`` before it is answered 503.
    package var queueTimeout = Duration.seconds(10)
    /// The Retry-After of that 503, in seconds.
    package var retryAfterSeconds = 1
    /// Open connections, at most; lowered to what RLIMIT_NOFILE leaves after 64 descriptors for the application.
    package var maxConnections = 65_536
    package var limits = RequestLimits()
    /// For a whole head, from its first byte or the accept.
    package var headTimeout = Duration.seconds(30)
    /// Between two arrivals of body bytes, and for the whole body, which gets a second more for every
    /// ``minimumBodyBytesPerSecond``.
    package var bodyTimeout = Duration.seconds(30)
    /// Of a request's body, on average. 0: as slow as the client likes.
    package var minimumBodyBytesPerSecond: UInt64 = 500
    /// Between a response and the next request.
    package var keepAliveTimeout = Duration.seconds(75)
    /// Between two moments in which the client takes response bytes. As long, and a second more for every
    /// ``minimumWriteBytesPerSecond`` taken, a streamed response may keep its application thread waiting for the client
    /// in all.
    package var writeTimeout = Duration.seconds(60)
    /// What a client must take, on average, of a response for which an application thread waits. 0: as slow as it
    /// likes. Whole bodies and files need no thread while they are sent.
    package var minimumWriteBytesPerSecond: UInt64 = 8192
    /// For a client to take an error response and close.
    package var lingerTimeout = Duration.seconds(2)
    /// From ``HTTPServer/requestStop()`` until open connections are cut.
    package var drainTimeout = Duration.seconds(30)
    /// Where long bodies are spilled to.
    package var temporaryDirectory = "/tmp"
    /// Bytes of all bodies that lie there at a time, at most; what comes beyond is refused with 503.
    package var maxSpilledBytes = 4 << 30

    package init() {}

    var timeouts: ConnectionTimeouts {
        ConnectionTimeouts(
            head: headTimeout.nanoseconds, body: bodyTimeout.nanoseconds, idle: keepAliveTimeout.nanoseconds,
            write: writeTimeout.nanoseconds, linger: lingerTimeout.nanoseconds,
            bodyBytesPerSecond: minimumBodyBytesPerSecond)
    }

    /// How often deadlines are looked at: a second, or a quarter of the shortest time-out.
    var tickNanoseconds: UInt64 {
        let shortest = [
            headTimeout, bodyTimeout, keepAliveTimeout, writeTimeout, lingerTimeout, drainTimeout, queueTimeout,
        ].min()
        return min(1_000_000_000, max(5_000_000, (shortest?.nanoseconds ?? 0) / 4))
    }
}

extension Duration {
    /// Whole nanoseconds; negative ones are 0, and what doesn't fit is as good as never.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        if seconds < 0 { return 0 }
        if seconds > 1_000_000_000 { return 1_000_000_000_000_000_000 }
        return UInt64(seconds) * 1_000_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000)
    }
}
