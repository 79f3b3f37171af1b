// The fleet's reload: each slot's new worker must serve before its old one is told to stop.

extension Fleet {
    /// The operator wants the application loaded anew. A second request dismisses the worker that is starting, which may hang or have
    /// read what was mended since, and begins again; while an old worker drains, it is remembered until that is gone.
    package mutating func reloadWorkers(now: ContinuousClock.Instant) -> [Action] {
        guard !isStopping else { return [] }
        var actions: [Action] = []
        switch reload?.step {
        case .draining:
            reload?.again = true
            return []
        case .starting(let slot):
            if case .renewing(let old, let candidate) = slots[slot - 1].state {
                slots[slot - 1].state = .serving(old)
                slots[slot - 1].dismiss(candidate, now: now, gracePeriod: rules.gracePeriod)
                actions.append(.terminate(candidate))
            }
        case nil: break
        }
        reload = Reload(slots: slots.map(\.number))
        return actions + advanceReload(now: now)
    }

    /// A serving worker has grown too large: a new one is started and takes its place when it serves. One at a time, so that never more
    /// than one process runs beyond the workers asked for; the worker asks again. During a reload it will be replaced anyway.
    package mutating func recycle(_ id: WorkerID, now: ContinuousClock.Instant) -> [Action] {
        guard !isStopping, reload == nil, let index = index(of: id), case .serving(id) = slots[index].state,
            slots.allSatisfy({ !$0.isRenewing && $0.leaving.isEmpty })
        else { return [] }
        let candidate = slots[index].nextID(now: now, startupTimeout: rules.startupTimeout)
        slots[index].state = .renewing(id, candidate: candidate)
        return [.start(candidate, succeeding: nil)]
    }

    /// Goes on if `step` is what the reload was waiting for.
    mutating func continueReload(after step: Reload.Step, now: ContinuousClock.Instant) -> [Action] {
        guard reload?.step == step else { return [] }
        return advanceReload(now: now)
    }

    /// The slot's new worker failed: what serves goes on, the rest of the reload is dropped.
    mutating func abortReload(slot: Int) -> [Action] {
        guard reload?.step == .starting(slot: slot) else { return [] }
        reload = nil
        return [.reloadFailed(slot: slot)]
    }

    private mutating func advanceReload(now: ContinuousClock.Instant) -> [Action] {
        guard let slot = reload?.next() else {
            let again = reload?.again == true
            reload = nil
            return [.reloadFinished] + (again ? reloadWorkers(now: now) : [])
        }
        return renew(slot - 1, now: now)
    }

    private mutating func renew(_ index: Int, now: ContinuousClock.Instant) -> [Action] {
        switch slots[index].state {
        case .serving(let old):
            let candidate = slots[index].nextID(now: now, startupTimeout: rules.startupTimeout)
            slots[index].state = .renewing(old, candidate: candidate)
            return [.start(candidate, succeeding: nil)]
        case .starting(let unready):
            // It may have read old code already, and serves nobody.
            slots[index].dismiss(unready, now: now, gracePeriod: rules.gracePeriod)
            return [.terminate(unready), begin(index, succeeding: nil, now: now)]
        case .waiting(_, let succeeding):
            slots[index].respawn.reset()
            return [begin(index, succeeding: succeeding, now: now)]
        case .vacant, .failed:
            slots[index].respawn.reset()
            return [begin(index, succeeding: nil, now: now)]
        case .renewing(let old, let candidate):
            // A worker was being recycled; its successor may have read old code already.
            slots[index].dismiss(candidate, now: now, gracePeriod: rules.gracePeriod)
            let new = slots[index].nextID(now: now, startupTimeout: rules.startupTimeout)
            slots[index].state = .renewing(old, candidate: new)
            return [.terminate(candidate), .start(new, succeeding: nil)]
        }
    }
}
