// Looks at the workers' pages while all is well, and asks for captures of those that hang or that somebody wants to see. A thin driver:
// HangPolicy and DumpAttempt decide.

import CLinux
import Glibc
import GraniteCrashChannel
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
    }

    private let limits: HangPolicy.Limits
    private var policies: [WorkerID: HangPolicy] = [:]
    private var pending: [WorkerID: Pending] = [:]
    private var tickets: [WorkerID: UInt16] = [:]
    private var nextLook: ContinuousClock.Instant?

    init(limits: HangPolicy.Limits) { self.limits = limits }

    var deadline: ContinuousClock.Instant? {
        let attempts = pending.isEmpty ? nil : ContinuousClock.now + Self.attemptInterval
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
        if policies.isEmpty { nextLook = nil }
        finish(worker.id, .failed("worker \(worker.id.slot) (pid \(worker.child.pid)) died meanwhile"))
    }

    /// A report of a worker that lives on was stored.
    func reported(_ id: WorkerID, _ summary: CrashSummary) {
        guard pending[id]?.attempt.isCaptured == true, ["dump", "hang"].contains(summary.kind) else { return }
        finish(id, .reported(summary))
    }

    /// No report of it could be stored.
    func failed(_ id: WorkerID, _ reason: String) { finish(id, .failed(reason)) }

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
        ask(worker, request, .one(thread))
    }

    /// Asks the worker for a capture, after which it ends itself.
    func captureAndKill(_ worker: WorkerProcess, thread: Int32) {
        let request = nextRequest(worker, .requestKillTimeout)
        ask(worker, request, .one(thread))
    }

    /// Looks at every worker that it is time to look at. The policy's actions are the caller's to perform.
    func tick(now: ContinuousClock.Instant, workers: [WorkerID: WorkerProcess]) -> [(WorkerProcess, HangPolicy.Action)]
    {
        for (id, worker) in workers where pending[id] != nil { advance(worker, now) }
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
        let capture = (try? CrashPage(descriptor: worker.page.number)).flatMap { try? $0.capture() }
        guard let action = pending[worker.id]?.attempt.advance(now: now, capture: capture),
            let request = pending[worker.id]?.attempt.request
        else { return }
        let name = "worker \(worker.id.slot) (pid \(worker.child.pid))"
        switch action {
        case .ask(let threads): ask(worker, request, threads)
        case .unanswered:
            finish(
                worker.id,
                .failed(
                    "\(name) did not answer within \(ServerSocket.answerSeconds) s: \(KernelState.phrase(pid: worker.child.pid))"
                ))
        case .unreported:
            finish(
                worker.id, .failed("\(name) was captured, but no report came within \(ServerSocket.reportSeconds) s"))
        }
    }

    private func ask(_ worker: WorkerProcess, _ request: DumpRequest, _ threads: DumpAttempt.Threads) {
        switch threads {
        case .one(let thread):
            // Gone, or not a thread of this process, as a hostile page may say: the first thread will do.
            if request.send(to: worker.child.pid, thread: thread) != 0 {
                _ = request.send(to: worker.child.pid, thread: worker.child.pid)
            }
        case .all:
            for thread in KernelState.threads(pid: worker.child.pid) {
                _ = request.send(to: worker.child.pid, thread: thread)
            }
        }
    }

    private func finish(_ id: WorkerID, _ outcome: Outcome) {
        guard let waiters = pending.removeValue(forKey: id)?.waiters else { return }
        for waiter in waiters { waiter(outcome) }
    }
}
