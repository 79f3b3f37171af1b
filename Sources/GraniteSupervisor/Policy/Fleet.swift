// Defines which workers there should be and what to do next: start, respawn, backoff, reload, stop. A pure state machine:
// it is told what happened and when, and returns actions for the driver. It knows no process, no clock and no log.

/// All worker slots of a server.
package struct Fleet: Sendable {
    package enum Action: Sendable, Equatable {
        /// Spawn a worker, in place of `succeeding` if that died.
        case start(WorkerID, succeeding: WorkerID?)
        /// A worker that was started for a reload takes the place of one that died meanwhile.
        case adopt(WorkerID, succeeding: WorkerID)
        /// SIGTERM.
        case terminate(WorkerID)
        /// SIGKILL.
        case kill(WorkerID)
        /// SIGKILL: it did not become ready in time. Its death is a failed start.
        case giveUp(WorkerID)
        /// The slot waits before its next start.
        case backOff(slot: Int, failures: Int, delay: Duration)
        /// A dead worker is not replaced (respawn is off).
        case abandon(WorkerID)
        case reloadFinished
        /// The slot's new worker did not become ready. What served before still does; slots not yet reached keep the old code.
        case reloadFailed(slot: Int)
        /// No process is left, and none will be started.
        case finish(Outcome)
    }

    package enum Outcome: Sendable, Equatable {
        /// As asked.
        case stopped
        /// Respawn is off and the last worker is gone.
        case allWorkersGone
        /// No worker ever became ready.
        case startupFailed(StartupFailure)
    }

    package struct Rules: Sendable, Equatable {
        /// At least 1.
        package var workers: Int
        package var respawnsFailedWorkers: Bool
        package var respawn: RespawnPolicy.Limits
        /// From SIGTERM to SIGKILL.
        package var gracePeriod: Duration
        /// From a worker's start to its being ready; zero is without limit.
        package var startupTimeout: Duration

        package init(
            workers: Int, respawnsFailedWorkers: Bool = true, respawn: RespawnPolicy.Limits = .init(),
            gracePeriod: Duration = .seconds(30), startupTimeout: Duration = .seconds(60)
        ) {
            self.workers = workers
            self.respawnsFailedWorkers = respawnsFailedWorkers
            self.respawn = respawn
            self.gracePeriod = gracePeriod
            self.startupTimeout = startupTimeout
        }
    }

    /// How a worker ended.
    package struct Ending: Sendable, Equatable {
        package var uptime: Duration
        package var becameReady: Bool
        /// Set if it never became ready.
        package var failure: StartupFailure?

        package init(uptime: Duration, becameReady: Bool, failure: StartupFailure? = nil) {
            self.uptime = uptime
            self.becameReady = becameReady
            self.failure = failure
        }
    }

    let rules: Rules
    var slots: [WorkerSlot]
    var reload: Reload?
    /// Whether the application has ever been served: until then a failed start is the operator's to mend, not ours to repeat.
    private(set) var hasServed = false
    private(set) var isStopping = false
    private var isFinished = false

    package init(rules: Rules) {
        self.rules = rules
        slots = (1...max(1, rules.workers)).map { WorkerSlot(number: $0, limits: rules.respawn) }
    }

    /// When ``tick(now:)`` has something to do; nil if never.
    package var deadline: ContinuousClock.Instant? { slots.compactMap(\.deadline).min() }

    /// Starts every slot's first worker.
    package mutating func start(now: ContinuousClock.Instant) -> [Action] {
        slots.indices.map { begin($0, succeeding: nil, now: now) }
    }

    /// The worker serves.
    package mutating func becameReady(_ id: WorkerID, now: ContinuousClock.Instant) -> [Action] {
        guard let index = index(of: id) else { return [] }
        switch slots[index].state {
        case .starting(id):
            slots[index].state = .serving(id)
            return reviveFailedSlots(now: now) + continueReload(after: .starting(slot: id.slot), now: now)
        case .renewing(let old, candidate: id):
            slots[index].state = .serving(id)
            slots[index].dismiss(old, now: now, gracePeriod: rules.gracePeriod)
            // A worker that was recycled is no step of a reload.
            if reload?.step == .starting(slot: id.slot) { reload?.drain(slot: id.slot) }
            return [.terminate(old)]
        case .vacant, .starting, .serving, .renewing, .waiting, .failed:
            return []  // told to stop meanwhile
        }
    }

    /// The system refused to start the worker.
    package mutating func spawnFailed(
        _ id: WorkerID, succeeding: WorkerID?, failure: StartupFailure, now: ContinuousClock.Instant
    ) -> [Action] {
        guard let index = index(of: id) else { return [] }
        switch slots[index].state {
        case .starting(id):
            guard hasServed else { return fail(index, failure) }
            let delay = slots[index].respawn.spawnFailed()
            slots[index].state = .waiting(until: now + delay, succeeding: succeeding)
            return [.backOff(slot: id.slot, failures: slots[index].respawn.failures, delay: delay)]
                + abortReload(slot: id.slot)
        case .renewing(let old, candidate: id):
            slots[index].state = .serving(old)
            return abortReload(slot: id.slot)
        case .vacant, .starting, .serving, .renewing, .waiting, .failed:
            return []
        }
    }

    /// The worker is dead and reaped.
    package mutating func exited(_ id: WorkerID, _ ending: Ending, now: ContinuousClock.Instant) -> [Action] {
        guard let index = index(of: id) else { return [] }
        if slots[index].leaving.removeValue(forKey: id) != nil {
            guard slots[index].leaving.isEmpty else { return [] }
            return continueReload(after: .draining(slot: id.slot), now: now) + finishIfEmpty()
        }
        switch slots[index].state {
        case .starting(id):
            if !hasServed, let failure = ending.failure { return fail(index, failure) }
            return abortReload(slot: id.slot) + replace(id, at: index, ending, now: now)
        case .serving(id):
            return replace(id, at: index, ending, now: now)
        case .renewing(id, let candidate):
            slots[index].state = .starting(candidate)
            return [.adopt(candidate, succeeding: id)]
        case .renewing(let old, candidate: id):
            slots[index].state = .serving(old)
            return abortReload(slot: id.slot)
        case .vacant, .starting, .serving, .renewing, .waiting, .failed:
            return []
        }
    }

    /// Time has passed.
    package mutating func tick(now: ContinuousClock.Instant) -> [Action] {
        var actions: [Action] = []
        for index in slots.indices {
            for id in slots[index].leaving.keys.sorted() where slots[index].leaving[id]?.advance(now: now) == true {
                actions.append(.kill(id))
            }
            if let id = slots[index].overdueStart(now: now) { actions.append(.giveUp(id)) }
            if case .waiting(let until, let succeeding) = slots[index].state, until <= now {
                actions.append(begin(index, succeeding: succeeding, now: now))
            }
        }
        return actions
    }

    /// The operator wants an end: every worker drains.
    package mutating func stop(now: ContinuousClock.Instant) -> [Action] {
        guard !isStopping else { return [] }
        isStopping = true
        reload = nil
        var actions: [Action] = []
        for index in slots.indices {
            for id in slots[index].members {
                slots[index].dismiss(id, now: now, gracePeriod: rules.gracePeriod)
                actions.append(.terminate(id))
            }
            slots[index].state = .vacant
        }
        return actions + finishIfEmpty()
    }

    /// The operator asked again: whoever still drains is killed.
    package mutating func hasten(now: ContinuousClock.Instant) -> [Action] {
        for index in slots.indices {
            for id in slots[index].leaving.keys { slots[index].leaving[id]?.hasten(now: now) }
        }
        return tick(now: now)
    }

    // MARK: - Between slots

    func index(of id: WorkerID) -> Int? { slots.indices.contains(id.slot - 1) ? id.slot - 1 : nil }

    mutating func begin(_ index: Int, succeeding: WorkerID?, now: ContinuousClock.Instant) -> Action {
        let id = slots[index].nextID(now: now, startupTimeout: rules.startupTimeout)
        slots[index].state = .starting(id)
        return .start(id, succeeding: succeeding)
    }

    private mutating func replace(_ id: WorkerID, at index: Int, _ ending: Ending, now: ContinuousClock.Instant)
        -> [Action]
    {
        guard rules.respawnsFailedWorkers else {
            slots[index].state = .vacant
            return [.abandon(id)] + finishIfEmpty()
        }
        let delay = slots[index].respawn.workerDied(uptime: ending.uptime, becameReady: ending.becameReady)
        if delay == .zero { return [begin(index, succeeding: id, now: now)] }
        slots[index].state = .waiting(until: now + delay, succeeding: id)
        return [.backOff(slot: id.slot, failures: slots[index].respawn.failures, delay: delay)]
    }

    /// A first start failed. The server ends when that is true of every slot.
    private mutating func fail(_ index: Int, _ failure: StartupFailure) -> [Action] {
        slots[index].state = .failed(failure)
        return abortReload(slot: slots[index].number) + finishIfEmpty()
    }

    /// One worker serves, so the application can be served: the slots that failed before get another try, after a pause.
    private mutating func reviveFailedSlots(now: ContinuousClock.Instant) -> [Action] {
        guard !hasServed else { return [] }
        hasServed = true
        var actions: [Action] = []
        for index in slots.indices {
            guard case .failed = slots[index].state else { continue }
            let delay = slots[index].respawn.spawnFailed()
            slots[index].state = .waiting(until: now + delay, succeeding: nil)
            actions.append(.backOff(slot: slots[index].number, failures: slots[index].respawn.failures, delay: delay))
        }
        return actions
    }

    private mutating func finishIfEmpty() -> [Action] {
        guard !isFinished, !slots.contains(where: \.isPopulated) else { return [] }
        if isStopping {
            isFinished = true
            return [.finish(.stopped)]
        }
        let failures = slots.compactMap { slot in if case .failed(let failure) = slot.state { failure } else { nil } }
        if let failure = failures.last, failures.count == slots.count {
            isFinished = true
            return [.finish(.startupFailed(failure))]
        }
        guard !rules.respawnsFailedWorkers, slots.allSatisfy({ $0.state == .vacant }) else { return [] }
        isFinished = true
        return [.finish(.allWorkersGone)]
    }
}
