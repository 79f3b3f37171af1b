// Defines the server that a worker runs: made with listening sockets and an application, stopped by a descriptor.
// Separate from loop and drivers, which are nobody's business outside.

import CLinux
import Glibc
package import GraniteExchange

/// Serves HTTP/1.0 and 1.1 over TCP and Unix sockets, in cleartext.
package final class HTTPServer: @unchecked Sendable {  // immutable but for the run, which happens once, on one thread
    /// An eventfd: writing 8 bytes of a number (not 0) to it requests a stop. A signal handler may do that; write(2) is
    /// safe there.
    package let stopDescriptor: Int32
    private let loop: EventLoop
    private let application: any Application
    private let observer: (any ExchangeObserver)?

    /// - Parameters:
    ///   - listeners: bound, listening stream sockets, perhaps shared with other workers. They stay the caller's, are
    ///     made non-blocking, and must stay open until ``run()`` has returned.
    ///   - observer: told of each exchange, on application threads, and of requests that are refused before the
    ///     application sees them.
    ///   - heartbeat: called about once a second on the loop's thread, outside the application (no GIL). With one
    ///     application thread it may pause for up to a tenth of a second more when a call begins to last.
    /// - Throws: ``HTTPServerError``.
    package init(
        configuration: ServerConfiguration = ServerConfiguration(), listeners: [Int32], application: any Application,
        observer: (any ExchangeObserver)? = nil, heartbeat: @escaping @Sendable () -> Void = {}
    ) throws {
        precondition(
            (1...512).contains(configuration.applicationThreads) && (1...32_768).contains(configuration.backpressure))
        stopDescriptor = granite_eventfd()
        if stopDescriptor < 0 { throw HTTPServerError(code: .eventDescriptor, errorNumber: errno) }
        do {
            loop = try EventLoop(
                configuration: configuration, listeners: listeners, stopDescriptor: stopDescriptor, observer: observer,
                heartbeat: heartbeat)
        } catch {
            close(stopDescriptor)
            throw error
        }
        self.application = application
        self.observer = observer
    }

    deinit { close(stopDescriptor) }

    /// Serves until a stop is requested and the open requests are answered or cut. Call it once, on the interpreter's
    /// main thread, with the interpreter left (no GIL). SIGPIPE is ignored from here on: sendfile(2) knows no
    /// MSG_NOSIGNAL.
    ///
    /// An application call that never returns keeps this from returning, too; whoever stops the worker needs a deadline
    /// of its own.
    /// - Throws: ``HTTPServerError`` if a thread can't be started.
    package func run() throws {
        signal(SIGPIPE, SIG_IGN)
        if loop.configuration.applicationThreads == 1 {
            try AdaptiveDriver(loop: loop, application: application, observer: observer).run()
        } else {
            try PooledDriver(loop: loop, application: application, observer: observer).run()
        }
    }

    /// Stops gracefully: no new connections, idle ones closed at once, requests under way answered with `Connection:
    /// close`, the rest cut after `drainTimeout`. From any thread, and from a signal handler: it only writes to
    /// ``stopDescriptor``.
    package func requestStop() {
        var one: UInt64 = 1
        _ = write(stopDescriptor, &one, 8)
    }
}
