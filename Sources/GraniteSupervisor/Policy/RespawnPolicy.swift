// Defines when a dead worker is replaced. A pure struct: it is told of deaths and answers with a delay.

/// One slot's backoff. The first death is answered at once; a worker that dies again soon after its start waits ever longer.
/// Each slot has its own, so that one crash loop leaves the others alone.
package struct RespawnPolicy: Sendable, Equatable {
    package struct Limits: Sendable, Equatable {
        /// A worker that served at least so long died of something new, not of its start.
        package var interval: Duration
        /// The wait after the second death in a row; doubled each time.
        package var firstDelay: Duration
        package var longestDelay: Duration

        package init(
            interval: Duration = .milliseconds(3500), firstDelay: Duration = .milliseconds(500),
            longestDelay: Duration = .seconds(30)
        ) {
            self.interval = interval
            self.firstDelay = firstDelay
            self.longestDelay = longestDelay
        }
    }

    private let limits: Limits
    /// Deaths in a row, each soon after the start.
    private(set) var failures = 0

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// How long to wait before the replacement is started.
    ///
    /// - Parameters:
    ///   - uptime: from spawn to death.
    ///   - becameReady: whether it ever served. A worker that never did failed, however long that took it.
    package mutating func workerDied(uptime: Duration, becameReady: Bool) -> Duration {
        if becameReady && uptime >= limits.interval { failures = 0 }
        failures += 1
        return delay
    }

    /// How long to wait before a start is tried again that the system refused (no memory, no descriptors). Never zero.
    package mutating func spawnFailed() -> Duration {
        failures = max(failures + 1, 2)
        return delay
    }

    /// Forgets the past: the operator asked for a fresh start.
    package mutating func reset() { failures = 0 }

    private var delay: Duration {
        guard failures > 1 else { return .zero }
        var delay = limits.firstDelay
        var doublings = failures - 2
        while doublings > 0 && delay < limits.longestDelay {
            delay *= 2
            doublings -= 1
        }
        return min(delay, limits.longestDelay)
    }
}
