// Defines what one worker slot is doing. A pure state machine; the fleet decides between slots, a slot knows its own processes.

/// Why a worker could not start.
package struct StartupFailure: Sendable, Equatable {
    /// The code for an application that could not be loaded.
    static let applicationFailed: Int32 = 3

    /// The exit code that the server should end with.
    package var code: Int32
    /// In the words of the worker, or of the supervisor if it had none.
    package var message: String

    package init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }
}

/// One of the places that workers fill, one after the other.
struct WorkerSlot: Sendable, Equatable {
    enum State: Sendable, Equatable {
        /// Nobody, and nobody is coming: before the start, while stopping, or without respawn.
        case vacant
        /// A process was started and does not serve yet.
        case starting(WorkerID)
        case serving(WorkerID)
        /// Reload: the candidate starts while the old one serves.
        case renewing(WorkerID, candidate: WorkerID)
        /// A crash loop, or a start that the system refused: the next process is started later.
        case waiting(until: ContinuousClock.Instant, succeeding: WorkerID?)
        /// The first process of the slot could not start, and no other slot has shown that the application can.
        case failed(StartupFailure)
    }

    let number: Int
    var state = State.vacant
    /// Processes that were told to stop and are not gone yet.
    var leaving: [WorkerID: Teardown] = [:]
    var respawn: RespawnPolicy
    private var generation = 0
    /// Until when the newest process must serve; nil once it was given up, or without limit.
    private var startDeadline: ContinuousClock.Instant?

    init(number: Int, limits: RespawnPolicy.Limits) {
        self.number = number
        respawn = RespawnPolicy(limits: limits)
    }

    /// The id of a process that is started now.
    mutating func nextID(now: ContinuousClock.Instant, startupTimeout: Duration) -> WorkerID {
        generation += 1
        startDeadline = startupTimeout > .zero ? now + startupTimeout : nil
        return WorkerID(slot: number, generation: generation)
    }

    /// The process that does not serve yet; always the newest.
    private var unready: WorkerID? {
        switch state {
        case .starting(let id), .renewing(_, candidate: let id): id
        case .vacant, .serving, .waiting, .failed: nil
        }
    }

    /// The process whose time to become ready is over. Each is returned once.
    mutating func overdueStart(now: ContinuousClock.Instant) -> WorkerID? {
        guard let unready, let startDeadline, startDeadline <= now else { return nil }
        self.startDeadline = nil
        return unready
    }

    /// The processes that were not told to stop.
    var members: [WorkerID] {
        switch state {
        case .vacant, .waiting, .failed: []
        case .starting(let id), .serving(let id): [id]
        case .renewing(let id, let candidate): [id, candidate]
        }
    }

    var isRenewing: Bool { if case .renewing = state { true } else { false } }

    /// Whether a process of the slot is alive.
    var isPopulated: Bool { !members.isEmpty || !leaving.isEmpty }

    /// Tells a process to stop: the caller sends SIGTERM.
    mutating func dismiss(_ id: WorkerID, now: ContinuousClock.Instant, gracePeriod: Duration) {
        leaving[id] = Teardown(now: now, gracePeriod: gracePeriod)
    }

    /// When the slot has something to do without being told.
    var deadline: ContinuousClock.Instant? {
        var deadlines = leaving.values.compactMap(\.deadline)
        if unready != nil, let startDeadline { deadlines.append(startDeadline) }
        if case .waiting(let until, _) = state { deadlines.append(until) }
        return deadlines.min()
    }
}
