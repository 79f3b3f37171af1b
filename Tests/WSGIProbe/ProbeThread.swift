// Application threads beside the main one: each serves what it is given, while the main thread waits.

import Foundation
import GraniteExchange

final class ProbeThread: @unchecked Sendable {  // the two semaphores hand `exchange` over
    private let ready = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)
    private var exchange: (any Exchange)?
    private var application: any Application

    init(_ application: any Application) {
        self.application = application
        let thread = Thread { [self] in run() }
        thread.start()
    }

    private func run() {
        let serving = application.makeThread()
        while true {
            ready.wait()
            guard let exchange else { break }
            serving.enter()
            serving.respond(to: exchange)
            serving.leave()
            done.signal()
        }
        serving.close()
        done.signal()
    }

    /// Serves one exchange, or, with nil, ends the thread.
    func serve(_ exchange: (any Exchange)?) {
        self.exchange = exchange
        ready.signal()
        done.wait()
    }
}
