// Defines one application thread's view: enter, answer, leave, with the observer told. Separate from the drivers, which
// all use it.

import CLinux
import GraniteExchange

/// Runs the application on one thread: made, used and closed there.
final class ApplicationRunner {
    private let thread: any ApplicationThread
    private let observer: (any ExchangeObserver)?
    private let index: Int
    private let date = DateHeader()
    private weak var waiting: (any WaitObserver)?
    private var isEntered = false

    init(
        application: any Application, observer: (any ExchangeObserver)?, index: Int, waiting: (any WaitObserver)? = nil
    ) {
        thread = application.makeThread()
        self.observer = observer
        self.index = index
        self.waiting = waiting
    }

    /// Before a request; entering twice is once.
    @inline(__always)
    func enter() {
        if isEntered { return }
        isEntered = true
        thread.enter()
    }

    /// Before the thread may sleep.
    @inline(__always)
    func leave() {
        if !isEntered { return }
        isEntered = false
        thread.leave()
    }

    func close() {
        leave()
        thread.close()
    }

    /// Answers the connection's request. Entered. Returns the application's nanoseconds.
    func answer(_ connection: Connection) -> UInt64 {
        let writer = connection.writer
        writer.assign(date: date, waiting: waiting)
        let start = granite_monotonic_ns()
        observer?.willRespond(to: writer.request, thread: index)
        thread.respond(to: writer)
        // An application that returns without an end has failed; the client must not wait for it.
        if !writer.isFinished { writer.fail() }
        let duration = granite_monotonic_ns() &- start
        if let observer {
            observer.didRespond(
                to: writer.request, thread: index, status: writer.status, bodyBytes: writer.bodyBytes,
                queuedNanoseconds: start > connection.completedAt ? start - connection.completedAt : 0,
                applicationNanoseconds: duration)
        }
        return duration
    }
}
