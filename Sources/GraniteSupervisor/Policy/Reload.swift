// Defines the order of a reload: slot by slot, and where it stands. A pure struct; what a step does is the fleet's.

/// A reload in progress.
struct Reload: Sendable, Equatable {
    enum Step: Sendable, Equatable {
        /// The new process of the slot must become ready.
        case starting(slot: Int)
        /// The old one was told to stop and must be gone, so that never more than one process runs beyond the workers asked for.
        case draining(slot: Int)
    }

    private var remaining: ArraySlice<Int>
    private(set) var step: Step?
    /// Another reload was asked for meanwhile: when this one is through, begin again.
    var again = false

    init(slots: [Int]) { remaining = slots[...] }

    /// The next slot to renew; nil when all are done.
    mutating func next() -> Int? {
        guard let slot = remaining.popFirst() else { return nil }
        step = .starting(slot: slot)
        return slot
    }

    /// The new process serves, the old one was told to stop.
    mutating func drain(slot: Int) { step = .draining(slot: slot) }
}
