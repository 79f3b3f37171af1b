// Looks at the workers' pages while all is well, and asks for captures of those that hang or that somebody wants to see. A thin driver:
// HangPolicy and DumpAttempt decide.

import CLinux
import Glibc
import GraniteCrashChannel
import GraniteLinux
import GraniteReport

/// Belongs to the supervisor's thread.
final class LiveWatch {
    /// What happened to a capture that was asked for.
    enum Outcome: Sendable, Equatable {
        case reported(CrashSummary)
        /// A sentence.
        case failed(String)
    }

    /// How often the page of a worker that was asked is looked at.
    private static let attemptInterval = Duration.milliseconds(20)

    private struct Pending {
        var attempt: DumpAttempt
        var waiters: [(Outcome) -> Void]
        var isQueueFull = false
    }

    /// What came of sending the signal.
    private enum Asked {
        case sent, queueIsFull, notCaught
    }

    private let limits: HangPolicy.Limits
    private var policies: [WorkerID: HangPolicy] = [:]
    private var pending: [WorkerID: Pending] = [:]
    /// Captures after which the worker ends itself; the policy's grace ends them.
    private var kills: [WorkerID: DumpAttempt] = [:]
    private var tickets: [WorkerID: UInt16] = [:]
    private var nextLook: ContinuousClock.Instant?

    init(limits: HangPolicy.Limits) { self.limits = limits }

    var deadline: ContinuousClock.Instant? {
        let attempts = pending.isEmpty && kills.isEmpty ? nil : ContinuousClock.now + Self.attemptInterval
        return [attempts, nextLook].compactMap { $0 }.min()
    }

    /// The worker is ready: from now on it is watched.
    func begin(_ worker: WorkerProcess) {
        guard let interval = limits.interval else { return }
        policies[worker.id] = HangPolicy(limits: limits)
        nextLook = nextLook ?? .now + interval
    }

    /// The worker is dead.
    func end(_ worker: WorkerProcess) {
        policies[worker.id] = nil
        tickets[worker.id] = nil
        kills[worker.id] = nil
        if policies.isEmpty { nextLook = nil }
        finish(worker.id, .failed("worker \(worker.id.slot) (pid \(worker.child.pid)) died meanwhile"))
    }

    /// A report of a worker that lives on was stored.
    func reported(_ worker: WorkerProcess, _ summary: CrashSummary) {
        guard isCaptured(worker), Self.kinds.contains(summary.kind) else { return }
        finish(worker.id, .reported(summary))
    }

    /// No report of a worker that lives on could be stored.
    ///
    /// - Parameter summary: of the report that could not; nil if it was not even made.
    func failed(_ worker: WorkerProcess, _ reason: String, _ summary: CrashSummary?) {
        guard isCaptured(worker), summary.map({ Self.kinds.contains($0.kind) }) ?? true else { return }
        finish(worker.id, .failed(reason))
    }

    private static let kinds = ["dump", "hang"]

    /// Whether the page shows the capture that is waited for: the collector may be done with it before the next ``tick(now:workers:)``.
    private func isCaptured(_ worker: WorkerProcess) -> Bool {
        pending[worker.id]?.attempt.notice(capture(of: worker))
        return pending[worker.id]?.attempt.isCaptured == true
    }

    /// Asks the worker for a capture, after which it goes on; joins one that is under way.
    func dump(
        _ worker: WorkerProcess, cause: CrashPage.Cause, thread: Int32? = nil, then: @escaping (Outcome) -> Void
    ) {
        guard pending[worker.id] == nil else {
            pending[worker.id]?.waiters.append(then)
            return
        }
        let request = nextRequest(worker, cause)
        let thread = thread ?? oldestRequest(of: worker) ?? worker.child.pid
        pending[worker.id] = Pending(attempt: DumpAttempt(request, thread: thread, now: .now), waiters: [then])
        heed(ask(worker, request, .one(thread)), of: worker)
    }

    /// Asks the worker for a capture, after which it ends itself; again and again until it is dead. One that would not make it dies at once.
    func captureAndKill(_ worker: WorkerProcess, thread: Int32) {
        let request = nextRequest(worker, .requestKillTimeout)
        kills[worker.id] = DumpAttempt(request, thread: thread, now: .now)
        if ask(worker, request, .one(thread)) == .notCaught { worker.child.send(signal: SIGKILL) }
    }

    /// Looks at every worker that it is time to look at. The policy's actions are the caller's to perform.
    func tick(now: ContinuousClock.Instant, workers: [WorkerID: WorkerProcess]) -> [(WorkerProcess, HangPolicy.Action)]
    {
        for (id, worker) in workers {
            if pending[id] != nil { advance(worker, now) }
            if kills[id] != nil { advanceKill(worker, now) }
        }
        guard let nextLook, nextLook <= now, let interval = limits.interval else { return [] }
        self.nextLook = now + interval
        var actions: [(WorkerProcess, HangPolicy.Action)] = []
        for id in policies.keys.sorted() {
            guard let worker = workers[id], let observation = observe(worker) else { continue }
            actions += (policies[id]?.observe(observation) ?? []).map { (worker, $0) }
        }
        return actions
    }

    // MARK: -

    private func observe(_ worker: WorkerProcess) -> HangPolicy.Observation? {
        guard let page = try? CrashPage(descriptor: worker.page.number), let status = try? page.status(),
            let requests = try? page.requests()
        else { return nil }
        return .init(
            nowNanoseconds: granite_monotonic_ns(), isReady: status.isReady,
            heartbeatNanoseconds: status.heartbeatNanoseconds, requests: requests)
    }

    private func oldestRequest(of worker: WorkerProcess) -> Int32? {
        observe(worker)?.requests.min { $0.startedNanoseconds < $1.startedNanoseconds }.map { Int32(clamping: $0.tid) }
    }

    private func nextRequest(_ worker: WorkerProcess, _ cause: CrashPage.Cause) -> DumpRequest {
        let ticket = max(1, (tickets[worker.id] ?? 0) &+ 1)
        tickets[worker.id] = ticket
        return DumpRequest(cause: cause, ticket: ticket)
    }

    private func advance(_ worker: WorkerProcess, _ now: ContinuousClock.Instant) {
        guard let action = pending[worker.id]?.attempt.advance(now: now, capture: capture(of: worker)),
            let request = pending[worker.id]?.attempt.request
        else { return }
        let name = Self.name(worker)
        switch action {
        case .ask(let threads): heed(ask(worker, request, threads), of: worker)
        case .unanswered:
            let why =
                pending[worker.id]?.isQueueFull == true
                ? "its queue of signals is full (ulimit -i)" : KernelState.phrase(pid: worker.child.pid)
            finish(
                worker.id, .failed("\(name) did not answer within \(ServerSocket.answerSeconds) s: \(why)"))
        case .unreported:
            finish(
                worker.id, .failed("\(name) was captured, but no report came within \(ServerSocket.reportSeconds) s"))
        }
    }

    private func advanceKill(_ worker: WorkerProcess, _ now: ContinuousClock.Instant) {
        guard let request = kills[worker.id]?.request,
            case .ask(let threads) = kills[worker.id]?.advance(now: now, capture: capture(of: worker))
        else { return }
        if ask(worker, request, threads) == .notCaught { worker.child.send(signal: SIGKILL) }
    }

    /// A signal that is not caught would end the worker: it is not sent.
    private func ask(_ worker: WorkerProcess, _ request: DumpRequest, _ threads: DumpAttempt.Threads) -> Asked {
        let pid = worker.child.pid
        guard KernelState.catches(signal: DumpRequest.signal, pid: pid) == true else { return .notCaught }
        var failures: [Int32] = []
        switch threads {
        case .one(let thread):
            let failure = request.send(to: pid, thread: thread)
            // Gone, or not a thread of this process, as a hostile page may say: the first thread will do.
            failures = failure == 0 ? [] : [failure, request.send(to: pid, thread: pid)]
        case .all: failures = KernelState.threads(pid: pid).map { request.send(to: pid, thread: $0) }
        }
        return failures.contains(EAGAIN) ? .queueIsFull : .sent
    }

    private func heed(_ asked: Asked, of worker: WorkerProcess) {
        switch asked {
        case .sent: pending[worker.id]?.isQueueFull = false
        case .queueIsFull: pending[worker.id]?.isQueueFull = true
        case .notCaught:
            finish(
                worker.id,
                .failed(
                    "\(Self.name(worker)) does not catch Granite's dump signal (SIGRTMAX-4): it is still starting, or the application has reset it"
                ))
        }
    }

    private func capture(of worker: WorkerProcess) -> CrashPage.Capture? {
        (try? CrashPage(descriptor: worker.page.number)).flatMap { try? $0.capture() }
    }

    private static func name(_ worker: WorkerProcess) -> String { "worker \(worker.id.slot) (pid \(worker.child.pid))" }

    private func finish(_ id: WorkerID, _ outcome: Outcome) {
        guard let waiters = pending.removeValue(forKey: id)?.waiters else { return }
        for waiter in waiters { waiter(outcome) }
    }
}
