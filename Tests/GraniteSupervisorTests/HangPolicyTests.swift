import Glibc
import GraniteCrashChannel
import GraniteReport
import Testing

@testable import GraniteSupervisor

struct HangPolicyTests {
    static let second: UInt64 = 1_000_000_000
    static let start: UInt64 = 1000 * second

    func observation(
        _ seconds: Double, requests: [CrashPage.Request] = [], heartbeat: Double? = nil, isReady: Bool = true
    )
        -> HangPolicy.Observation
    {
        let now = Self.start + UInt64(seconds * 1e9)
        return .init(
            nowNanoseconds: now, isReady: isReady,
            heartbeatNanoseconds: heartbeat.map { Self.start + UInt64($0 * 1e9) } ?? now, requests: requests)
    }

    func request(_ id: String, started seconds: Double = 0, target: String = "/slow") -> CrashPage.Request {
        .init(
            tid: 7, startedNanoseconds: Self.start + UInt64(seconds * 1e9), id: id, method: "GET", target: target,
            isComplete: true)
    }

    @Test func aSlowRequestIsReportedOnce() {
        var policy = HangPolicy(limits: .init(request: .seconds(30)))
        #expect(policy.observe(observation(29, requests: [request("a")])) == [])
        #expect(
            policy.observe(observation(30, requests: [request("a")])) == [
                .report(.init(cause: .requestTimeout, request: request("a"), lasting: .seconds(30)))
            ])
        #expect(policy.observe(observation(31, requests: [request("a")])) == [])
        #expect(policy.observe(observation(32)) == [])
    }

    @Test func requestsThatAreOverdueTogetherShareOneCapture() {
        var policy = HangPolicy(limits: .init(request: .seconds(30)))
        let actions = policy.observe(observation(40, requests: [request("b", started: 5), request("a")]))
        #expect(
            actions == [
                .report(.init(cause: .requestTimeout, request: request("a"), lasting: .seconds(40))),
                .tell(.init(cause: .requestTimeout, request: request("b", started: 5), lasting: .seconds(35))),
            ])
    }

    @Test func afterFiveCapturesOneIsMadeAMinute() {
        var policy = HangPolicy(limits: .init(request: .seconds(1)))
        var captured: [Int] = []
        for number in 0..<80 {
            let now = Double(number) + 1
            for action in policy.observe(observation(now, requests: [request("\(number)", started: now - 1)])) {
                if case .report = action { captured.append(number) }
            }
        }
        #expect(captured == [0, 1, 2, 3, 4, 60])
    }

    @Test func aRequestOverTheHardLimitEndsTheWorkerAndNothingElseIsDone() {
        var policy = HangPolicy(limits: .init(request: .seconds(30), requestKill: .seconds(60)))
        for seconds in 30..<60 { _ = policy.observe(observation(Double(seconds), requests: [request("a")])) }
        #expect(
            policy.observe(observation(60, requests: [request("a")])) == [
                .capturesAndKill(.init(cause: .requestKillTimeout, request: request("a"), lasting: .seconds(60)))
            ])
        #expect(policy.observe(observation(61, requests: [request("a")])) == [])
        #expect(policy.observe(observation(63, requests: [request("a")])) == [.kill])
        #expect(policy.observe(observation(64, requests: [request("a")])) == [])
    }

    @Test func aLoopThatStandsStillIsReportedOnceUntilItTurnsAgain() {
        var policy = HangPolicy(limits: .init(stall: .seconds(10)))
        for seconds in 1...9 { #expect(policy.observe(observation(Double(seconds), heartbeat: 0)) == []) }
        #expect(
            policy.observe(observation(10, heartbeat: 0)) == [
                .report(.init(cause: .stallTimeout, request: nil, lasting: .seconds(10)))
            ])
        #expect(policy.observe(observation(11, heartbeat: 0)) == [])
        for seconds in 12...21 { #expect(policy.observe(observation(Double(seconds), heartbeat: 11.5)) == []) }
        #expect(policy.observe(observation(22, heartbeat: 11.5)).count == 1)
    }

    /// A supervisor that was stopped together with its workers (Ctrl-Z, a debugger) would call each of them hung.
    @Test func whatNobodyWatchedIsNotHeldAgainstTheWorker() {
        var policy = HangPolicy(limits: .init(stall: .seconds(10)))
        _ = policy.observe(observation(1, heartbeat: 0.5))
        #expect(policy.observe(observation(500, heartbeat: 0.5)) == [])
        #expect(policy.observe(observation(501, heartbeat: 500.5)) == [])
    }

    /// `docker pause` stops workers and supervisor: every worker with a request would be killed afterwards.
    @Test func whileNobodyWatchedNoRequestGrowsOld() {
        var policy = HangPolicy(limits: .init(requestKill: .seconds(30)))
        let slow = request("a", started: 0.5)
        #expect(policy.observe(observation(1, requests: [slow])) == [])
        for seconds in 500...529 { #expect(policy.observe(observation(Double(seconds), requests: [slow])) == []) }
        #expect(
            policy.observe(observation(530, requests: [slow])) == [
                .capturesAndKill(.init(cause: .requestKillTimeout, request: slow, lasting: .seconds(529.5)))
            ])
    }

    @Test func aWorkerThatStartsOrHasNeverBeatenIsNotStalled() {
        var policy = HangPolicy(limits: .init(stall: .seconds(10)))
        #expect(policy.observe(observation(60, heartbeat: 0, isReady: false)) == [])
        let never = HangPolicy.Observation(nowNanoseconds: Self.start, heartbeatNanoseconds: 0)
        #expect(policy.observe(never) == [])
    }

    @Test func aPageThatLiesAboutTimeTrapsNothing() {
        var policy = HangPolicy(limits: .init(request: .seconds(1), requestKill: .seconds(2), stall: .seconds(3)))
        let future = CrashPage.Request(
            tid: .max, startedNanoseconds: .max, id: "", method: "", target: "", isComplete: true)
        let observation = HangPolicy.Observation(
            nowNanoseconds: Self.start, heartbeatNanoseconds: .max, requests: [future, future])
        #expect(policy.observe(observation) == [])
        #expect(policy.observe(.init(nowNanoseconds: 0, heartbeatNanoseconds: .max, requests: [future])) == [])
    }

    @Test func theShortestLimitSaysHowOftenToLook() {
        #expect(HangPolicy.Limits().interval == nil)
        #expect(HangPolicy.Limits(request: .seconds(30), stall: .seconds(10)).interval == .seconds(1))
        #expect(HangPolicy.Limits(requestKill: .seconds(1)).interval == .milliseconds(250))
        #expect(HangPolicy.Limits(request: .milliseconds(10)).interval == .milliseconds(50))
    }
}

struct DumpAttemptTests {
    let start = ContinuousClock.now

    @Test func aThreadThatDoesNotAnswerIsAskedAgainThenAllAreThenItIsGivenUp() {
        var attempt = DumpAttempt(.init(cause: .asked, ticket: 1), thread: 7, now: start)
        #expect(attempt.advance(now: start + .milliseconds(100), capture: nil) == nil)
        #expect(attempt.advance(now: start + .milliseconds(200), capture: nil) == .ask(threads: .one(7)))
        #expect(attempt.advance(now: start + .seconds(1), capture: nil) == .ask(threads: .all))
        #expect(attempt.advance(now: start + .milliseconds(1100), capture: nil) == nil)
        // Every thread has its signal waiting: more of them fill the queue.
        #expect(attempt.advance(now: start + .seconds(4), capture: nil) == nil)
        #expect(attempt.advance(now: start + .seconds(5), capture: nil) == .unanswered)
        #expect(attempt.advance(now: start + .seconds(6), capture: nil) == nil)
    }
}

struct KernelStateTests {
    @Test func theStateStandsBehindTheLastParenthesis() {
        #expect(KernelState.state(stat: "12 (a) b) c) T 1 12 12 0") == "T")
        #expect(KernelState.state(stat: "12 no name") == nil)
        #expect(KernelState.state(stat: "") == nil)
    }

    @Test func aCaughtSignalIsABitOfTheMask() {
        let status = "Name:\tgranite\nSigIgn:\t0000000000001000\nSigCgt:\t1000000180004002\n"
        #expect(KernelState.catches(signal: 61, status: status) == true)
        #expect(KernelState.catches(signal: 60, status: status) == false)
        #expect(KernelState.catches(signal: SIGINT, status: status) == true)
        #expect(KernelState.catches(signal: SIGPIPE, status: status) == false)
        #expect(KernelState.catches(signal: 65, status: status) == nil)
        #expect(KernelState.catches(signal: 60, status: "SigCgt:\tx") == nil)
        #expect(KernelState.catches(signal: SIGSTOP, pid: getpid()) == false)
    }

    @Test func theCallersOwnThreadsAreFound() {
        #expect(KernelState.threads(pid: getpid()).contains(getpid()))
        #expect(KernelState.threads(pid: 0) == [])
    }
}

struct HangEventTests {
    @Test func aHangIsToldInOneSentence() {
        var request = RequestInfo()
        request.method = "GET"
        request.target = "/slow"
        var hanging = ServerEvent.WorkerHanging(
            worker: .init(slot: 2, pid: 4711, generation: 1), cause: "request_timeout", seconds: 30, request: request,
            isCaptured: true, isKilled: false)
        #expect(
            ServerEvent.workerHanging(hanging).sentence
                == "worker 2 (pid 4711) hangs: GET /slow has been running for 30 s (--request-timeout)")
        hanging.cause = "stall_timeout"
        hanging.isCaptured = false
        #expect(
            ServerEvent.workerHanging(hanging).sentence
                == "worker 2 (pid 4711) hangs: the event loop has not turned for 30 s, GET /slow is in flight (--stall-timeout); not captured"
        )
    }
}
