// Defines how a thread goes to sleep beside a ring without missing what is pushed, and how it is woken without needless
// system calls. Separate: it is Dekker's algorithm, store-then-load on both sides, and needs the total order of
// sequential consistency.

import Synchronization

/// Whether a consumer sleeps. The sleeper announces, looks at its ring once more, and sleeps only if that is empty; the
/// waker pushes, then looks whether somebody sleeps. Whoever swaps the state to `awake` owes, or is owed, one signal.
final class Parker: Sendable {
    private static let awake: UInt32 = 0
    private static let asleep: UInt32 = 1
    private static let asleepWithTimer: UInt32 = 2

    private let state = Atomic<UInt32>(Parker.awake)

    /// Sleeper: about to sleep, `timed` if it will look again by itself soon.
    @inline(__always)
    func announce(timed: Bool) {
        state.store(timed ? Self.asleepWithTimer : Self.asleep, ordering: .sequentiallyConsistent)
    }

    /// Sleeper: awake again. Returns whether a waker was first, and has signalled or is about to.
    @inline(__always)
    func retract() -> Bool { state.exchange(Self.awake, ordering: .acquiringAndReleasing) == Self.awake }

    /// Waker, after a push: whether to signal. `early` wakes from a timed sleep, too.
    @inline(__always)
    func shouldSignal(early: Bool) -> Bool {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        let seen = state.load(ordering: .relaxed)
        if seen == Self.awake || (seen == Self.asleepWithTimer && !early) { return false }
        return state.exchange(Self.awake, ordering: .acquiringAndReleasing) != Self.awake
    }
}
