// Defines when a worker hangs and what is done about it: report once, kill once. A pure state machine: it is shown the worker's page
// now and then, and returns actions for the driver.

package import GraniteCrashChannel

/// One worker's requests and heartbeat, watched from outside: the worker pays nothing for it.
package struct HangPolicy: Sendable {
    /// Every limit may be missing: then it is not watched for.
    package struct Limits: Sendable, Equatable {
        /// A request that runs longer is reported, with all stacks; it goes on.
        package var request: Duration?
        /// A request that runs longer ends its worker, with a report.
        package var requestKill: Duration?
        /// An event loop that stands still longer is reported; it goes on.
        package var stall: Duration?

        package init(request: Duration? = nil, requestKill: Duration? = nil, stall: Duration? = nil) {
            self.request = request
            self.requestKill = requestKill
            self.stall = stall
        }

        /// How often to look; nil if there is nothing to look for. A quarter of the shortest limit, 50 ms to 1 s: a hang is noticed at
        /// most that much too late.
        package var interval: Duration? {
            [request, requestKill, stall].compactMap { $0 }.min().map {
                min(max($0 / 4, .milliseconds(50)), .seconds(1))
            }
        }
    }

    /// What the page says.
    package struct Observation: Sendable, Equatable {
        /// CLOCK_MONOTONIC, as all here.
        package var nowNanoseconds: UInt64
        package var isReady: Bool
        /// 0 = none yet.
        package var heartbeatNanoseconds: UInt64
        package var requests: [CrashPage.Request]

        package init(
            nowNanoseconds: UInt64, isReady: Bool = true, heartbeatNanoseconds: UInt64,
            requests: [CrashPage.Request] = []
        ) {
            self.nowNanoseconds = nowNanoseconds
            self.isReady = isReady
            self.heartbeatNanoseconds = heartbeatNanoseconds
            self.requests = requests
        }
    }

    package enum Action: Sendable, Equatable {
        /// Capture the worker, which goes on.
        case report(Hang)
        /// A hang beyond the number that is captured: told, but not captured.
        case tell(Hang)
        /// Make the worker capture itself and die.
        case capturesAndKill(Hang)
        /// It has not died of that: SIGKILL.
        case kill
    }

    package struct Hang: Sendable, Equatable {
        package var cause: CrashPage.Cause
        /// The request that takes so long, or, when the loop stands still, the oldest in flight.
        package var request: CrashPage.Request?
        package var lasting: Duration
    }

    /// From the capture of a worker that is to die to SIGKILL; a capture takes 1.1 s at most.
    static let killGrace = Duration.seconds(3)
    /// So many captures in a row, then one a minute.
    static let burst = 5
    static let refill = Duration.seconds(60)

    private let limits: Limits
    /// Requests that were told, by id; forgotten with their end.
    private var told: Set<String> = []
    /// The heartbeat that was told to be the last.
    private var toldHeartbeat: UInt64?
    private var lastObserved: UInt64?
    /// What was before is not judged: nobody watched meanwhile.
    private var watchedSince: UInt64 = 0
    private var killDeadline: UInt64?
    private var isKilled = false
    private var tokens = burst
    private var tokensUpdated: UInt64 = 0

    package init(limits: Limits) { self.limits = limits }

    /// What is to be done now.
    package mutating func observe(_ now: Observation) -> [Action] {
        noticeGap(now)
        if isKilled { return [] }
        if let killDeadline {
            guard now.nowNanoseconds >= killDeadline else { return [] }
            isKilled = true
            return [.kill]
        }
        if let overdue = overdue(now, limits.requestKill).first {
            killDeadline = now.nowNanoseconds &+ Self.killGrace.nanoseconds
            return [.capturesAndKill(hang(.requestKillTimeout, overdue, now))]
        }
        var actions: [Action] = []
        for request in overdue(now, limits.request) where told.insert(request.id).inserted {
            // One capture shows every thread: those that are overdue at the same moment share it.
            let isFirst = actions.isEmpty
            let hang = hang(.requestTimeout, request, now)
            actions.append(isFirst && takeToken(now.nowNanoseconds) ? .report(hang) : .tell(hang))
        }
        told.formIntersection(now.requests.map(\.id))
        if let stall = stall(now) {
            actions.append(actions.isEmpty && takeToken(now.nowNanoseconds) ? .report(stall) : .tell(stall))
        }
        return actions
    }

    /// A supervisor that was stopped (SIGSTOP, a suspended machine) has not seen heartbeats and requests go by: its workers, which may have
    /// been stopped with it, get a whole limit again.
    private mutating func noticeGap(_ now: Observation) {
        defer { lastObserved = now.nowNanoseconds }
        let usual = (limits.interval ?? .seconds(1)).nanoseconds
        guard let lastObserved else { return }
        if now.nowNanoseconds &- lastObserved > usual &* 3 &+ 1_000_000_000 { watchedSince = now.nowNanoseconds }
    }

    /// The oldest first.
    private func overdue(_ now: Observation, _ limit: Duration?) -> [CrashPage.Request] {
        guard let limit else { return [] }
        return now.requests.filter { $0.isComplete && watchedAge($0, now) >= limit.nanoseconds }.sorted {
            $0.startedNanoseconds < $1.startedNanoseconds
        }
    }

    private mutating func stall(_ now: Observation) -> Hang? {
        guard let limit = limits.stall, now.isReady, now.heartbeatNanoseconds > 0,
            now.heartbeatNanoseconds < now.nowNanoseconds
        else { return nil }
        let since = max(now.heartbeatNanoseconds, watchedSince)
        guard now.nowNanoseconds &- since >= limit.nanoseconds, toldHeartbeat != now.heartbeatNanoseconds else {
            return nil
        }
        toldHeartbeat = now.heartbeatNanoseconds
        let oldest = now.requests.filter(\.isComplete).min { $0.startedNanoseconds < $1.startedNanoseconds }
        return Hang(
            cause: .stallTimeout, request: oldest,
            lasting: .nanoseconds(Int64(clamping: now.nowNanoseconds &- now.heartbeatNanoseconds)))
    }

    private func hang(_ cause: CrashPage.Cause, _ request: CrashPage.Request, _ now: Observation) -> Hang {
        Hang(cause: cause, request: request, lasting: .nanoseconds(Int64(clamping: age(request, now))))
    }

    /// How long it has run as far as anybody watched.
    private func watchedAge(_ request: CrashPage.Request, _ now: Observation) -> UInt64 {
        min(age(request, now), now.nowNanoseconds &- watchedSince)
    }

    /// A page may say that a request begins in the future: then it has just begun.
    private func age(_ request: CrashPage.Request, _ now: Observation) -> UInt64 {
        request.startedNanoseconds > 0 && request.startedNanoseconds < now.nowNanoseconds
            ? now.nowNanoseconds - request.startedNanoseconds : 0
    }

    private mutating func takeToken(_ now: UInt64) -> Bool {
        if tokens == Self.burst { tokensUpdated = now }
        while tokens < Self.burst, now >= tokensUpdated, now - tokensUpdated >= Self.refill.nanoseconds {
            tokens += 1
            tokensUpdated &+= Self.refill.nanoseconds
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }
}

extension Duration {
    /// Whole nanoseconds; 0 if negative.
    fileprivate var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }
}
