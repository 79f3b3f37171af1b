// Defines the driver for several application threads: the loop has a thread of its own. Separate: none of the adaptive
// one's care is needed.

import GraniteExchange

/// The calling thread is application thread 0.
final class PooledDriver: @unchecked Sendable {  // `loop` is the I/O thread's once that has started
    private let loop: EventLoop
    private let handoff: SharedHandoff
    private let application: any Application
    private let observer: (any ExchangeObserver)?

    init(loop: EventLoop, application: any Application, observer: (any ExchangeObserver)?) {
        self.loop = loop
        self.application = application
        self.observer = observer
        handoff = SharedHandoff(wakeDescriptor: loop.wakeDescriptor)
    }

    /// Serves until stopped.
    func run() throws(HTTPServerError) {
        let count = loop.configuration.applicationThreads
        // The first one is made here: it is the interpreter's main thread.
        let first = ApplicationRunner(application: application, observer: observer, index: 0)
        var threads: [ServerThread] = []
        do {
            for index in 1..<count {
                threads.append(try ServerThread(name: "app-\(index)") { [self] in serveThread(index) })
            }
            threads.append(
                try ServerThread(name: "http-io") { [self] in
                    _ = SplitLoop(loop: loop, handoff: handoff).run { false }
                    for _ in 0..<count { handoff.submit(.end) }
                })
        } catch {
            for _ in threads { handoff.submit(.end) }
            for thread in threads { thread.join() }
            throw error
        }
        serve(first)
        for thread in threads { thread.join() }
    }

    private func serveThread(_ index: Int) {
        serve(ApplicationRunner(application: application, observer: observer, index: index))
    }

    private func serve(_ runner: ApplicationRunner) {
        while true {
            guard let item = handoff.take() else {
                runner.leave()
                handoff.waitForItem()
                continue
            }
            guard case .connection(let connection) = item else {
                runner.close()
                return
            }
            runner.enter()
            _ = connection._withUnsafeGuaranteedRef { runner.answer($0) }
            handoff.complete(connection)
            // Another thread may have waited for the interpreter as long as this call took.
            runner.leave()
        }
    }
}
