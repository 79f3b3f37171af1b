// Defines how long a job may take. All jobs share one Symbolizer: one debug file that is chewed on for minutes, or a file on a server that
// does not answer, would keep every later crash from being reported by a collector that looks healthy. Pure: the Collector has the clock.

/// The jobs that run, and when each is overdue. Belongs to the collector's loop.
struct JobWatchdog: Sendable {
    /// A hundred times what a report of 500 threads takes.
    static let limitNanoseconds: UInt64 = 20_000_000_000

    private var running: [UInt64: (crashID: String, deadline: UInt64)] = [:]
    private var begun: UInt64 = 0

    /// A job begins at `now` (CLOCK_MONOTONIC, nanoseconds). Returns its number.
    mutating func begin(_ crashID: String, now: UInt64) -> UInt64 {
        begun += 1
        running[begun] = (crashID, now &+ Self.limitNanoseconds)
        return begun
    }

    mutating func end(_ number: UInt64) { running[number] = nil }

    /// When the loop must look again; .max while no job runs.
    var deadline: UInt64 { running.values.map(\.deadline).min() ?? .max }

    /// The crash whose job is overdue. The first that began is the one that holds the others up.
    func overdue(now: UInt64) -> String? {
        running.filter { $0.value.deadline <= now }.min { $0.key < $1.key }?.value.crashID
    }
}
