// Defines what a collector must know, and what one that was started anew must be told again. Pure bookkeeping.

package import GraniteCrashChannel
package import GraniteLinux

/// The workers whose deaths the collector reports on, by crash id.
package struct Watchlist {
    /// Dead workers without a report that are remembered; each holds two descriptors open.
    package static let maxUnreported = 64
    /// New collectors that a death is handed to. One that ends each of them must not keep the later deaths from being reported.
    package static let maxReplays = 3

    /// A worker that the collector watches, or whose report is not there yet.
    package struct Entry {
        var watch: SupervisorMessage.Watch
        /// The crash page, then the collector's end of the memory socket.
        var descriptors: [Descriptor]
        var exited: SupervisorMessage.Exited?
        var respawned: SupervisorMessage.Respawned?
        /// New collectors that were told of the death.
        var replays = 0
        /// The death's report is stored, or will never be.
        var isSettled = false

        var identity: WorkerIdentity { WorkerIdentity(slot: watch.slot, pid: watch.pid, generation: watch.generation) }
    }

    /// A message and the descriptors that go with it.
    package struct Dispatch {
        package var message: SupervisorMessage
        package var descriptors: [Descriptor] = []
    }

    private var entries: [String: Entry] = [:]

    package init() {}

    package subscript(crashID: String) -> Entry? { entries[crashID] }

    /// A worker was spawned.
    package mutating func watch(_ watch: SupervisorMessage.Watch, descriptors: [Descriptor]) -> Dispatch {
        entries[watch.crashID] = Entry(watch: watch, descriptors: descriptors)
        return Dispatch(message: .watch(watch), descriptors: descriptors)
    }

    /// A worker is dead.
    ///
    /// - Returns: what to send, and the crash ids that are given up to make room.
    package mutating func exited(_ exited: SupervisorMessage.Exited) -> (dispatch: Dispatch?, givenUp: [String]) {
        guard entries[exited.crashID] != nil else { return (nil, []) }
        entries[exited.crashID]?.exited = exited
        if exited.expected { entries[exited.crashID]?.isSettled = true }
        dropIfDone(exited.crashID)
        // ULIDs sort by time: the first are the oldest.
        let unreported = entries.values.filter { $0.exited != nil }.map(\.watch.crashID).sorted()
        let givenUp = Array(unreported.prefix(max(0, unreported.count - Self.maxUnreported)))
        for id in givenUp { entries[id] = nil }
        return (Dispatch(message: .exited(exited)), givenUp)
    }

    /// A dead worker was replaced.
    package mutating func respawned(_ respawned: SupervisorMessage.Respawned) -> Dispatch {
        entries[respawned.crashID]?.respawned = respawned
        return Dispatch(message: .respawned(respawned))
    }

    /// The death's report is there, or failed for good.
    package mutating func settle(_ crashID: String) {
        entries[crashID]?.isSettled = true
        dropIfDone(crashID)
    }

    /// All that a new collector must hear.
    ///
    /// - Returns: what to send, and the crash ids that are given up, because ``maxReplays`` collectors ended without their report.
    package mutating func replay() -> (dispatches: [Dispatch], givenUp: [String]) {
        for (id, entry) in entries where entry.exited != nil { entries[id]?.replays = entry.replays + 1 }
        let givenUp = entries.filter { $0.value.replays > Self.maxReplays }.keys.sorted()
        for id in givenUp { entries[id] = nil }
        let dispatches = entries.values.sorted { $0.watch.crashID < $1.watch.crashID }.flatMap { entry in
            var watch = entry.watch
            watch.afterCollectorRestart = true
            watch.replays = entry.replays
            var dispatches = [Dispatch(message: .watch(watch), descriptors: entry.descriptors)]
            if let exited = entry.exited { dispatches.append(Dispatch(message: .exited(exited))) }
            if let respawned = entry.respawned { dispatches.append(Dispatch(message: .respawned(respawned))) }
            return dispatches
        }
        return (dispatches, givenUp)
    }

    private mutating func dropIfDone(_ crashID: String) {
        if let entry = entries[crashID], entry.isSettled, entry.exited != nil { entries[crashID] = nil }
    }
}
