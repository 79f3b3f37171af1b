// Defines a thread of the server. Separate: pthread's callback needs a box, in one place.

import CLinux

/// A running thread, to be joined once. Signals that a process handles on its main thread are blocked in it.
struct ServerThread: Sendable {
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let handle: UInt

    /// - Parameter name: at most 15 bytes, shown by ps(1) and in crash reports.
    init(name: String, _ run: @escaping @Sendable () -> Void) throws(HTTPServerError) {
        let body = Unmanaged.passRetained(Body(run))
        var handle: UInt = 0
        // The closure takes back the reference that is passed as its argument.
        let error = granite_thread_start(
            &handle, name, { Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run() }, body.toOpaque())
        if error != 0 {
            body.release()
            throw HTTPServerError(code: .thread, errorNumber: error)
        }
        self.handle = handle
    }

    func join() { granite_thread_join(handle) }
}
