// Defines how the event loop tells application threads that the server is stopping. Separate: it is the one thing that
// both read at once.

import Synchronization

/// Off until the server is told to stop. Set by the loop, read by whoever writes a head: that response is the
/// connection's last.
final class StopSign: Sendable {
    private let state = Atomic<Bool>(false)

    /// A head that misses it by a moment is answered keep-alive; the loop then closes after the response.
    @inline(__always)
    var isOn: Bool { state.load(ordering: .relaxed) }

    func set() { state.store(true, ordering: .relaxed) }
}
