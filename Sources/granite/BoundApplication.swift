// Binds the worker's application threads to the threads that serve: what the transport promises is checked at each call. It is separate
// because the two sides of the promise may not know of the capture.

import GraniteCapture
import GraniteExchange

/// An application whose threads are ``ThreadBound``: each holds a Python thread state and the objects of a request, which must never be
/// used or freed by another thread. With one application thread that is always the worker's main thread, in whatever mode the loop runs;
/// the loop's own state changes threads and cannot be bound.
final class BoundApplication: Application {
    private let application: any Application

    init(_ application: any Application) { self.application = application }

    func makeThread() -> any ApplicationThread { BoundThread(application.makeThread()) }
}

/// A call on the wrong thread is reported and not made: the request fails, the worker goes on.
private final class BoundThread: ApplicationThread {
    private let bound: ThreadBound<any ApplicationThread>

    init(_ thread: any ApplicationThread) { bound = ThreadBound(thread, label: "an application thread's Python state") }

    func enter() { call { $0.enter() } }

    func respond(to exchange: any Exchange) {
        if !call({ $0.respond(to: exchange) }) { exchange.fail() }
    }

    func leave() { call { $0.leave() } }

    func close() { call { $0.close() } }

    @inline(__always)
    @discardableResult
    private func call(_ body: (any ApplicationThread) -> Void) -> Bool {
        do {
            try bound.withValue(body)
            return true
        } catch {
            return false
        }
    }
}
