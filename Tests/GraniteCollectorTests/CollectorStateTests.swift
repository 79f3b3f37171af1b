// The collector's policy without processes.

import GraniteCrashChannel
import GraniteReport
import Testing

@testable import GraniteCollector

@Suite struct CollectorStateTests {
    private typealias Page = CollectorState.PageState
    private static let fatal = Page(kind: .fatal, progress: .underWay, sequence: 1)
    private static let passing = Page(kind: .passing, progress: .underWay, sequence: 1)

    private static func watch(restart: Bool = false) -> SupervisorMessage.Watch {
        .init(crashID: "A", slot: 1, generation: 1, pid: 10, afterCollectorRestart: restart)
    }

    private static func exited(expected: Bool = false) -> SupervisorMessage.Exited {
        .init(
            crashID: "A", pid: 10, waitStatus: 11, expected: expected, duringStartup: false, uptimeSeconds: 1,
            resources: .init(),
            logTail: [], oomKills: nil)
    }

    private static func job(_ source: CollectorState.Job.Source, fatal: Bool = true, resumed: Bool = false)
        -> CollectorState.Action
    {
        .start(.init(crashID: "A", source: source, isFatal: fatal, isResumed: resumed))
    }

    @Test func helloStartsOneJobAndTheExitGoesToIt() {
        var state = CollectorState()
        #expect(state.handle(.watched(Self.watch(), .empty)) == [])
        #expect(state.handle(.spoke(crashID: "A", capture: 1, Self.fatal)) == [Self.job(.live)])
        #expect(state.handle(.spoke(crashID: "A", capture: 1, Self.fatal)) == [])
        #expect(state.handle(.exited(Self.exited(), Self.fatal)) == [.post(.exited(Self.exited()))])
        #expect(state.handle(.jobEnded(crashID: "A")) == [.forget(crashID: "A")])
    }

    @Test func exitWithoutCaptureIsAJobUnlessExpected() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        #expect(state.handle(.exited(Self.exited(), .empty)) == [Self.job(.exit), .post(.exited(Self.exited()))])
        var other = CollectorState()
        _ = other.handle(.watched(Self.watch(), .empty))
        #expect(other.handle(.exited(Self.exited(expected: true), .empty)) == [.forget(crashID: "A")])
    }

    @Test func captureThatNobodyHeardOfIsReportedFromThePage() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        #expect(state.handle(.exited(Self.exited(), Self.fatal)) == [Self.job(.page), .post(.exited(Self.exited()))])
    }

    @Test func crashAfterADropSiteIsAnotherJob() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        #expect(state.handle(.spoke(crashID: "A", capture: 1, Self.passing)) == [Self.job(.live, fatal: false)])
        #expect(state.handle(.jobEnded(crashID: "A")) == [])
        let crash = Page(kind: .fatal, progress: .underWay, sequence: 2)
        #expect(state.handle(.spoke(crashID: "A", capture: 2, crash)) == [Self.job(.live)])
    }

    @Test func exitAfterADropSiteIsNotMistakenForIt() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        _ = state.handle(.spoke(crashID: "A", capture: 1, Self.passing))
        _ = state.handle(.jobEnded(crashID: "A"))
        let over = Page(kind: .passing, progress: .over, sequence: 1)
        #expect(state.handle(.exited(Self.exited(), over)) == [Self.job(.exit), .post(.exited(Self.exited()))])
    }

    @Test func heldWorkerIsTakenUpAfterARestart() {
        var state = CollectorState()
        #expect(state.handle(.watched(Self.watch(restart: true), Self.fatal)) == [Self.job(.live, resumed: true)])
        // Its hello may still be in the socket.
        #expect(state.handle(.spoke(crashID: "A", capture: 1, Self.fatal)) == [])
    }

    @Test func deadWorkerIsReportedFromThePageAfterARestart() {
        var state = CollectorState()
        let over = Page(kind: .fatal, progress: .over, sequence: 1)
        #expect(state.handle(.watched(Self.watch(restart: true), over)) == [])
        #expect(
            state.handle(.exited(Self.exited(), over)) == [
                Self.job(.page, resumed: true), .post(.exited(Self.exited())),
            ])
    }

    /// Every later crash of a worker that had outlived a collector was marked incomplete.
    @Test func crashAfterARestartIsNotMarkedAsOneThatTheRestartInterrupted() {
        var idle = CollectorState()
        _ = idle.handle(.watched(Self.watch(restart: true), .empty))
        #expect(idle.handle(.spoke(crashID: "A", capture: 1, Self.fatal)) == [Self.job(.live)])
        var dropped = CollectorState()
        _ = dropped.handle(
            .watched(Self.watch(restart: true), Page(kind: .passing, progress: .over, sequence: 1)))
        let crash = Page(kind: .fatal, progress: .underWay, sequence: 2)
        #expect(dropped.handle(.spoke(crashID: "A", capture: 2, crash)) == [Self.job(.live)])
    }

    /// Its page and its socket stayed open for ever.
    @Test func workerWhoseJobEndedBeforeItsExitIsForgotten() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        _ = state.handle(.spoke(crashID: "A", capture: 1, Self.fatal))
        #expect(state.handle(.jobEnded(crashID: "A")) == [])
        #expect(state.handle(.exited(Self.exited(), Self.fatal)) == [.forget(crashID: "A")])
    }

    /// The job asked a worker that did not serve any more, and waited for it.
    @Test func lateHelloIsReportedFromThePage() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        let over = Page(kind: .fatal, progress: .over, sequence: 1)
        #expect(state.handle(.spoke(crashID: "A", capture: 1, over)) == [Self.job(.page)])
    }

    @Test func helloOfACaptureThatIsOverwrittenStartsNothing() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        let second = Page(kind: .fatal, progress: .underWay, sequence: 2)
        #expect(state.handle(.spoke(crashID: "A", capture: 1, second)) == [])
        #expect(state.handle(.spoke(crashID: "A", capture: 2, second)) == [Self.job(.live)])
    }

    @Test func jobThatIsOverdueIsNamedAndOneThatEndedIsNot() {
        var watchdog = JobWatchdog()
        #expect(watchdog.deadline == .max)
        let first = watchdog.begin("A", now: 100)
        _ = watchdog.begin("B", now: 200)
        let limit = JobWatchdog.limitNanoseconds
        #expect(watchdog.deadline == 100 + limit)
        #expect(watchdog.overdue(now: 99 + limit) == nil)
        #expect(watchdog.overdue(now: 300 + limit) == "A")
        watchdog.end(first)
        #expect(watchdog.overdue(now: 199 + limit) == nil)
        #expect(watchdog.overdue(now: 200 + limit) == "B")
    }

    @Test func stopWaitsForJobs() {
        var state = CollectorState()
        _ = state.handle(.watched(Self.watch(), .empty))
        _ = state.handle(.spoke(crashID: "A", capture: 1, Self.fatal))
        #expect(state.handle(.controlClosed) == [.releaseJobs])
        #expect(state.handle(.jobEnded(crashID: "A")) == [.stop])
        var idle = CollectorState()
        #expect(idle.handle(.controlClosed) == [.releaseJobs, .stop])
    }
}
