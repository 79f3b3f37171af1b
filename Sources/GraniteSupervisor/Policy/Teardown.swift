// Defines how a worker is stopped: told to drain, given time, killed. A pure struct.

/// The stop of one worker. The first step, SIGTERM, is taken when the value is made.
package struct Teardown: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        /// It finishes its requests; SIGKILL at the deadline.
        case draining(deadline: ContinuousClock.Instant)
        /// SIGKILL was sent.
        case killed
    }

    package private(set) var state: State

    package init(now: ContinuousClock.Instant, gracePeriod: Duration) {
        state = .draining(deadline: now + gracePeriod)
    }

    /// When ``advance(now:)`` has something to do; nil if never.
    package var deadline: ContinuousClock.Instant? {
        switch state {
        case .draining(let deadline): deadline
        case .killed: nil
        }
    }

    /// Whether SIGKILL is due now. True at most once.
    package mutating func advance(now: ContinuousClock.Instant) -> Bool {
        switch state {
        case .draining(let deadline) where deadline <= now:
            state = .killed
            return true
        case .draining, .killed: return false
        }
    }

    /// The operator asked again: no more patience.
    package mutating func hasten(now: ContinuousClock.Instant) {
        switch state {
        case .draining: state = .draining(deadline: now)
        case .killed: break
        }
    }
}
