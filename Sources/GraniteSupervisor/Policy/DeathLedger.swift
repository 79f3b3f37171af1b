// Defines when a death's story is complete enough to be told. A pure struct: a worker dies, a replacement is started, a
// report arrives, in any order or not at all; out come the events, each once.

package import GraniteReport

/// The deaths whose `worker.respawned` has not been logged yet.
package struct DeathLedger: Sendable {
    /// How long the respawn event waits for its report.
    package static let patience = Duration.seconds(10)

    /// What is known when a worker has died.
    package struct Death: Sendable, Equatable {
        var id: WorkerID
        var worker: WorkerIdentity
        /// Set if a report is being made.
        var crashID: String?
        var uptimeSeconds: Double
        var requests: UInt64
        var exit: ExitStatus
        var noticed: ContinuousClock.Instant

        package init(
            id: WorkerID, worker: WorkerIdentity, crashID: String?, uptimeSeconds: Double, requests: UInt64,
            exit: ExitStatus,
            noticed: ContinuousClock.Instant
        ) {
            self.id = id
            self.worker = worker
            self.crashID = crashID
            self.uptimeSeconds = uptimeSeconds
            self.requests = requests
            self.exit = exit
            self.noticed = noticed
        }
    }

    private struct Entry: Sendable {
        var death: Death
        var report: Report
        var successor: Successor
        var reportedEarly = false
    }

    private enum Report: Sendable, Equatable {
        case none
        case awaited(until: ContinuousClock.Instant)
        case arrived(CrashSummary)
        /// Late or failed: the id is all there is.
        case missing
    }

    private enum Successor: Sendable, Equatable {
        case awaited
        case started(WorkerIdentity, milliseconds: Double)
        case never
    }

    private var entries: [WorkerID: Entry] = [:]

    package init() {}

    /// When ``tick(now:)`` has something to tell.
    package var deadline: ContinuousClock.Instant? {
        entries.values.compactMap { if case .awaited(let until) = $0.report { until } else { nil } }.min()
    }

    /// Whether a report may still arrive for a death.
    package var awaitsReports: Bool { deadline != nil }

    /// A worker died.
    package mutating func add(_ death: Death, willBeReplaced: Bool) -> [ServerEvent] {
        entries[death.id] = Entry(
            death: death, report: death.crashID == nil ? .none : .awaited(until: death.noticed + Self.patience),
            successor: willBeReplaced ? .awaited : .never)
        return settle(death.id)
    }

    /// Its replacement was started.
    package mutating func replaced(_ id: WorkerID, by successor: WorkerIdentity, now: ContinuousClock.Instant)
        -> (crashID: String?, milliseconds: Double, events: [ServerEvent])?
    {
        guard let death = entries[id]?.death else { return nil }
        let milliseconds = (now - death.noticed).milliseconds
        entries[id]?.successor = .started(successor, milliseconds: milliseconds)
        return (death.crashID, milliseconds, settle(id))
    }

    /// It will not be replaced after all.
    package mutating func abandoned(_ id: WorkerID) -> [ServerEvent] {
        guard entries[id] != nil else { return [] }
        entries[id]?.successor = .never
        return settle(id)
    }

    /// The report of a death. Returns nil if nobody waits for it (any more).
    package mutating func reported(crashID: String, _ summary: CrashSummary) -> [ServerEvent]? {
        guard let id = awaiting(crashID) else { return nil }
        entries[id]?.report = .arrived(summary)
        return settle(id)
    }

    /// There will be no report.
    package mutating func reportFailed(crashID: String) -> [ServerEvent] {
        guard let id = awaiting(crashID) else { return [] }
        entries[id]?.report = .missing
        return settle(id)
    }

    /// The time to wait for a report may be over.
    package mutating func tick(now: ContinuousClock.Instant) -> [ServerEvent] {
        var events: [ServerEvent] = []
        for (id, entry) in entries.sorted(by: { $0.key < $1.key }) {
            guard case .awaited(let until) = entry.report, until <= now else { continue }
            entries[id]?.report = .missing
            events += settle(id)
        }
        return events
    }

    /// The server ends: tell what is known.
    package mutating func flush() -> [ServerEvent] {
        var events: [ServerEvent] = []
        for (id, entry) in entries.sorted(by: { $0.key < $1.key }) {
            if case .awaited = entry.report { entries[id]?.report = .missing }
            if case .awaited = entry.successor { entries[id]?.successor = .never }
            events += settle(id)
        }
        return events
    }

    private func awaiting(_ crashID: String) -> WorkerID? {
        entries.first { entry in
            guard case .awaited = entry.value.report else { return false }
            return entry.value.death.crashID == crashID
        }?.key
    }

    private mutating func settle(_ id: WorkerID) -> [ServerEvent] {
        guard let entry = entries[id] else { return [] }
        let death = entry.death
        let crash: ServerEvent.Crash?
        switch entry.report {
        case .awaited: return []
        case .none: crash = nil
        case .arrived(let summary): crash = .reported(summary)
        case .missing: crash = death.crashID.map { .pending(id: $0) }
        }
        switch entry.successor {
        case .awaited:
            // A backoff may last half a minute; why the worker died is told at once.
            guard case .reported(let summary)? = crash, !entry.reportedEarly else { return [] }
            entries[id]?.reportedEarly = true
            return [.crashReported(.init(worker: death.worker, alive: false, summary: summary))]
        case .started(let successor, let milliseconds):
            entries[id] = nil
            return [
                .workerRespawned(
                    .init(
                        worker: successor, respawnMilliseconds: milliseconds,
                        previous: .init(
                            pid: death.worker.pid, uptimeSeconds: death.uptimeSeconds, requests: death.requests,
                            exit: death.exit),
                        crash: crash, alreadyReported: entry.reportedEarly))
            ]
        case .never:
            entries[id] = nil
            guard case .reported(let summary)? = crash, !entry.reportedEarly else { return [] }
            return [.crashReported(.init(worker: death.worker, alive: false, summary: summary))]
        }
    }
}
