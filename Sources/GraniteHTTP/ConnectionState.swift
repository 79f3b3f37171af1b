// Defines the life of a connection as a pure state machine: phases, deadlines, and what to do next.
// Separate from the event loop, which does it: here time is a number and nothing blocks.

/// How long a connection may stay in each phase, in nanoseconds.
struct ConnectionTimeouts: Sendable {
    /// From the first byte of a request, or from the accept, to the end of its head: a deadline for all of it, not
    /// renewed (slowloris).
    var head: UInt64
    /// Between two arrivals of body bytes, and to begin with for the whole body.
    var body: UInt64
    /// Between a response and the first byte of the next request.
    var idle: UInt64
    /// Between two moments in which the client took bytes.
    var write: UInt64
    /// For the client to take an error response and to close.
    var linger: UInt64
    /// Every so many body bytes give the whole body a second more; 0: it may take for ever.
    var bodyBytesPerSecond: UInt64 = 0
}

struct ConnectionState: Equatable {
    enum Phase: Equatable {
        /// Nothing of a request has come. `fresh`: since the accept, else since a response.
        case idle(fresh: Bool)
        case head
        case body
        /// A whole request waits, or is being answered.
        case request
        /// The rest of a response waits for the client.
        case writing(then: Ending)
        /// The output has ended; input is discarded so that the client gets the response instead of a reset.
        case lingering
        case closed
    }

    /// What becomes of the connection after a response.
    enum Ending: Equatable {
        case keep
        case close
        /// Close, but something unread is there: linger first.
        case linger
    }

    enum Action: Equatable {
        case none
        /// Look for the next request in the buffer.
        case readNext
        case sendContinue
        case dispatch
        case reject(Rejection)
        /// End the output, then discard input until the peer closes.
        case linger
        case close
    }

    private(set) var phase: Phase
    /// Monotonic nanoseconds; `UInt64.max` where the phase has none.
    private(set) var deadline: UInt64
    private var sentContinue = false
    private var bodySince: UInt64 = 0

    init(acceptedAt now: UInt64, _ timeouts: borrowing ConnectionTimeouts) {
        phase = .idle(fresh: true)
        deadline = now &+ timeouts.head
    }

    /// Nothing is under way: the connection may be closed without loss.
    var isIdle: Bool { if case .idle = phase { true } else { false } }

    /// A request is awaited or coming in.
    var isReading: Bool {
        switch phase {
        case .idle, .head, .body: true
        case .request, .writing, .lingering, .closed: false
        }
    }

    /// The reader took what there was, `progressed` if bytes had come since the last time; `bodyBytes` of the body are
    /// here.
    mutating func advanced(
        to step: RequestReader.Step, now: UInt64, progressed: Bool, bodyBytes: Int = 0,
        _ timeouts: borrowing ConnectionTimeouts
    ) -> Action {
        switch step {
        case .needsHead(let begun):
            if begun && phase != .head {
                // A fresh connection's deadline already counts from the accept.
                if phase != .idle(fresh: true) { deadline = now &+ timeouts.head }
                phase = .head
            }
            return .none
        case .needsBody(let wantsContinue):
            if phase != .body { bodySince = now }
            if phase != .body || progressed { deadline = bodyDeadline(now: now, bodyBytes: bodyBytes, timeouts) }
            phase = .body
            if wantsContinue && !sentContinue {
                sentContinue = true
                return .sendContinue
            }
            return .none
        case .spill:
            return .none
        case .complete:
            phase = .request
            deadline = .max
            return .dispatch
        case .rejected(let rejection):
            phase = .request
            deadline = .max
            return .reject(rejection)
        }
    }

    /// A byte every now and then is no progress: the sum of all pauses is bounded, too.
    private func bodyDeadline(now: UInt64, bodyBytes: Int, _ timeouts: borrowing ConnectionTimeouts) -> UInt64 {
        if timeouts.bodyBytesPerSecond == 0 { return now &+ timeouts.body }
        let earned = nanoseconds(for: UInt64(max(0, bodyBytes)), at: timeouts.bodyBytesPerSecond)
        return min(now &+ timeouts.body, bodySince &+ timeouts.body &+ earned)
    }

    /// The response is in the output buffer, `drained` if all of it was sent.
    mutating func responded(_ ending: Ending, drained: Bool, now: UInt64, _ timeouts: borrowing ConnectionTimeouts)
        -> Action
    {
        if !drained {
            if phase != .writing(then: ending) { deadline = now &+ timeouts.write }
            phase = .writing(then: ending)
            return .none
        }
        sentContinue = false
        switch ending {
        case .keep:
            phase = .idle(fresh: false)
            deadline = now &+ timeouts.idle
            return .readNext
        case .linger:
            phase = .lingering
            deadline = now &+ timeouts.linger
            return .linger
        case .close:
            phase = .closed
            return .close
        }
    }

    /// The client took some of the output.
    mutating func wrote(drained: Bool, now: UInt64, _ timeouts: borrowing ConnectionTimeouts) -> Action {
        guard case .writing(let ending) = phase else { return .none }
        deadline = now &+ timeouts.write
        return drained ? responded(ending, drained: true, now: now, timeouts) : .none
    }

    /// The client will send no more.
    mutating func peerEnded() -> Action {
        switch phase {
        case .idle, .lingering, .closed:
            phase = .closed
            return .close
        case .head, .body:
            // It may still read: tell it.
            phase = .request
            deadline = .max
            return .reject(.incomplete)
        case .request, .writing:
            // A half-closed client waits for its answer (RFC 9112 section 9.6).
            return .none
        }
    }

    mutating func deadlinePassed() -> Action {
        switch phase {
        case .idle, .writing, .lingering, .closed:
            phase = .closed
            return .close
        case .head:
            phase = .request
            deadline = .max
            return .reject(.headTimeout)
        case .body:
            phase = .request
            deadline = .max
            return .reject(.bodyTimeout)
        case .request:
            return .none
        }
    }

    mutating func closed() {
        phase = .closed
        deadline = .max
    }
}
