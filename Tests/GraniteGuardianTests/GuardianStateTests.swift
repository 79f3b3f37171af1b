// When the guardian starts collectors, lets run end and ends itself.

import GraniteGuardian
import Testing

struct GuardianStateTests {
    private let second: UInt64 = 1_000_000_000

    private func state(processes: Int = 100, reportsExits: Bool = false) -> GuardianState {
        var limits = GuardianState.Limits()
        limits.processes = processes
        return GuardianState(limits: limits, reportsExits: reportsExits, now: 0)
    }

    private func end(_ status: Int32?, fatal: Int32? = nil, captures: Int = 0) -> GuardianState.End {
        var evidence = EndEvidence()
        evidence.fromKernel = status
        evidence.fatalSignal = fatal
        return .init(evidence: evidence, captures: captures)
    }

    @Test func theFirstHelloStartsACollectorForAll() {
        var state = state()
        #expect(
            state.handle(.hello(crashID: "a"), now: 1) == [.startCollector(1), .watch(crashID: "a", collector: 1)])
        #expect(state.handle(.hello(crashID: "b"), now: 2) == [.watch(crashID: "b", collector: 1)])
        #expect(state.tick(now: 3) == [])
        #expect(state.deadline == nil)
    }

    @Test func anOrdinaryEndIsForgottenAtOnce() {
        var state = state()
        _ = state.handle(.hello(crashID: "a"), now: 1)
        #expect(
            state.handle(.ended(crashID: "a", end(7 << 8)), now: 2) == [
                .tellEnd(crashID: "a", waitStatus: 7 << 8, isOrdinary: true, collector: 1), .forget(crashID: "a"),
            ])
    }

    @Test func runMayEndWhenTheReportsOfTheDeadAreThere() {
        var state = state()
        _ = state.handle(.hello(crashID: "crashed"), now: 1)
        _ = state.handle(.hello(crashID: "daemon"), now: 1)
        #expect(
            state.handle(.ended(crashID: "crashed", end(11, fatal: 11, captures: 1)), now: 2) == [
                .tellEnd(crashID: "crashed", waitStatus: 11, isOrdinary: false, collector: 1)
            ])
        _ = state.handle(.programEnded, now: 3)
        #expect(state.tick(now: 3) == [])
        #expect(state.deadline == 2 + 10 * second)
        #expect(state.handle(.answered(crashID: "crashed"), now: 4) == [.forget(crashID: "crashed")])
        // The daemon lives on, and does not hold run up.
        #expect(state.tick(now: 4) == [.settle])
        #expect(state.tick(now: 5) == [])
    }

    @Test func aReportThatCameBeforeTheEndIsNotWaitedForAgain() {
        var state = state()
        _ = state.handle(.hello(crashID: "a"), now: 1)
        _ = state.handle(.answered(crashID: "a"), now: 2)
        #expect(
            state.handle(.ended(crashID: "a", end(11, fatal: 11, captures: 1)), now: 3).last == .forget(crashID: "a"))
    }

    @Test func aDeathWithoutACaptureIsReportedFromThePage() {
        var state = state()
        _ = state.handle(.hello(crashID: "a"), now: 1)
        #expect(
            state.handle(.ended(crashID: "a", end(11)), now: 2) == [
                .tellEnd(crashID: "a", waitStatus: 11, isOrdinary: false, collector: 1)
            ])
        _ = state.handle(.programEnded, now: 2)
        #expect(state.tick(now: 2) == [.closeCollector(1)])
    }

    @Test func runIsNotHeldUpForMoreThanItsTime() {
        var state = state()
        _ = state.handle(.hello(crashID: "a"), now: 1)
        _ = state.handle(.ended(crashID: "a", end(11, fatal: 11, captures: 1_000_000)), now: 2)
        _ = state.handle(.programEnded, now: 2)
        #expect(state.tick(now: 2) == [.closeCollector(1)])
        #expect(state.tick(now: 2 + 10 * second) == [.forget(crashID: "a"), .settle])
    }

    @Test func theCollectorFinishesWhenNobodyIsLeft() {
        var state = state()
        _ = state.handle(.hello(crashID: "a"), now: 1)
        _ = state.handle(.ended(crashID: "a", end(11, fatal: 11, captures: 3)), now: 2)
        // Before the program has ended, another process may come any time.
        #expect(state.tick(now: 2) == [])
        _ = state.handle(.programEnded, now: 3)
        #expect(state.tick(now: 3) == [.closeCollector(1)])
        // It has ended: what it has not told by now does not come.
        #expect(state.handle(.collectorEnded(1), now: 4) == [.forget(crashID: "a")])
        #expect(state.tick(now: 4) == [.settle])
    }

    @Test func aHelloAfterThatGetsACollectorOfItsOwn() {
        var state = state()
        _ = state.handle(.hello(crashID: "a"), now: 1)
        _ = state.handle(.programEnded, now: 2)
        _ = state.handle(.ended(crashID: "a", end(0)), now: 2)
        #expect(state.tick(now: 2) == [.settle, .closeCollector(1)])
        #expect(
            state.handle(.hello(crashID: "late"), now: 3) == [
                .startCollector(2), .watch(crashID: "late", collector: 2),
            ])
    }

    @Test func theGuardianOutlivesRunAsLongAsAProcessLives() {
        var state = state()
        _ = state.handle(.hello(crashID: "daemon"), now: 1)
        _ = state.handle(.programEnded, now: 2)
        _ = state.tick(now: 2)
        _ = state.handle(.runGone, now: 3)
        #expect(state.tick(now: 100 * second) == [])
        #expect(state.deadline == nil)
        _ = state.handle(.ended(crashID: "daemon", end(0)), now: 200 * second)
        #expect(state.tick(now: 200 * second) == [.closeCollector(1)])
        _ = state.handle(.collectorEnded(1), now: 201 * second)
        // A child of the last one may say hello yet.
        #expect(state.tick(now: 201 * second) == [])
        #expect(state.deadline == 202 * second)
        #expect(state.tick(now: 202 * second) == [.stop])
    }

    @Test func aNewImageOfAProcessEndsTheOldOneSilently() {
        var state = state()
        _ = state.handle(.hello(crashID: "sh"), now: 1)
        #expect(
            state.handle(.ended(crashID: "sh", .init(evidence: nil, captures: 0)), now: 2) == [
                .tellEnd(crashID: "sh", waitStatus: 0, isOrdinary: true, collector: 1), .forget(crashID: "sh"),
            ])
        #expect(state.handle(.hello(crashID: "python"), now: 2) == [.watch(crashID: "python", collector: 1)])
    }

    @Test func noMoreAreTakenThanThereIsRoomFor() {
        var state = state(processes: 2)
        _ = state.handle(.hello(crashID: "a"), now: 1)
        _ = state.handle(.hello(crashID: "b"), now: 1)
        #expect(state.handle(.hello(crashID: "c"), now: 1) == [.refuse(crashID: "c")])
        _ = state.handle(.ended(crashID: "a", end(0)), now: 2)
        #expect(state.handle(.hello(crashID: "d"), now: 3) == [.watch(crashID: "d", collector: 1)])
    }

    /// A server's workers crash for weeks: those whose answers never came were held, with their descriptors, as long as it ran.
    @Test func whatNeverAnswersIsForgottenWhileTheProgramRuns() {
        var state = state()
        _ = state.handle(.hello(crashID: "lives"), now: 1)
        for crashID in ["b", "a"] {
            _ = state.handle(.hello(crashID: crashID), now: 1)
            _ = state.handle(.ended(crashID: crashID, end(11, fatal: 11, captures: 1)), now: 2)
        }
        #expect(state.deadline == 2 + 10 * second)
        #expect(state.tick(now: 1 + 10 * second) == [])
        #expect(state.tick(now: 2 + 10 * second) == [.forget(crashID: "a"), .forget(crashID: "b")])
        #expect(state.deadline == nil)
        // An answer that comes after that harms nothing.
        #expect(state.handle(.answered(crashID: "a"), now: 3 + 10 * second) == [])
    }

    @Test func nothingIsMissingOfAProcessWhoseCollectorIsGone() {
        var state = state()
        _ = state.handle(.hello(crashID: "a"), now: 1)
        #expect(state.handle(.collectorEnded(1), now: 2) == [])
        #expect(
            state.handle(.ended(crashID: "a", end(11, fatal: 11, captures: 1)), now: 3) == [
                .tellEnd(crashID: "a", waitStatus: 11, isOrdinary: false, collector: 1), .forget(crashID: "a"),
            ])
        // What comes later has another.
        #expect(
            state.handle(.hello(crashID: "b"), now: 4) == [.startCollector(2), .watch(crashID: "b", collector: 2)])
    }

    @Test func whatIsNotKnownChangesNothing() {
        var state = state()
        #expect(state.handle(.ended(crashID: "x", end(11)), now: 1) == [])
        #expect(state.handle(.answered(crashID: "x"), now: 1) == [])
        #expect(state.handle(.collectorEnded(9), now: 1) == [])
    }
}
