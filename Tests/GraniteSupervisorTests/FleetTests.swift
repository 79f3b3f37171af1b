import GraniteSupervisor
import Testing

/// The fleet as a pure machine: no process, no clock.
struct FleetTests {
    let now = ContinuousClock.now
    func id(_ slot: Int, _ generation: Int) -> WorkerID { WorkerID(slot: slot, generation: generation) }
    let crash = Fleet.Ending(uptime: .seconds(60), becameReady: true)
    func startupFailure(_ message: String = "no module") -> Fleet.Ending {
        Fleet.Ending(uptime: .seconds(1), becameReady: false, failure: .init(code: 3, message: message))
    }

    func serving(_ workers: Int, respawns: Bool = true) -> Fleet {
        var fleet = Fleet(rules: .init(workers: workers, respawnsFailedWorkers: respawns))
        _ = fleet.start(now: now)
        for slot in 1...workers { _ = fleet.becameReady(id(slot, 1), now: now) }
        return fleet
    }

    @Test func everySlotIsStarted() {
        var fleet = Fleet(rules: .init(workers: 2))
        #expect(fleet.start(now: now) == [.start(id(1, 1), succeeding: nil), .start(id(2, 1), succeeding: nil)])
    }

    @Test func aDeadWorkerIsSucceededAtOnceAndFastDeathsWait() {
        var fleet = serving(2)
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.start(id(1, 2), succeeding: id(1, 1))])
        #expect(
            fleet.exited(id(1, 2), startupFailure(), now: now) == [
                .backOff(slot: 1, failures: 2, delay: .milliseconds(500))
            ])
        #expect(fleet.deadline == now + .milliseconds(500))
        #expect(fleet.tick(now: now + .milliseconds(499)) == [])
        #expect(fleet.tick(now: now + .milliseconds(500)) == [.start(id(1, 3), succeeding: id(1, 2))])
        #expect(fleet.exited(id(2, 1), crash, now: now) == [.start(id(2, 2), succeeding: id(2, 1))])
    }

    @Test func theServerEndsWhenNoFirstWorkerCanStart() {
        var fleet = Fleet(rules: .init(workers: 2))
        _ = fleet.start(now: now)
        #expect(fleet.exited(id(1, 1), startupFailure(), now: now) == [])
        #expect(
            fleet.exited(id(2, 1), startupFailure("b"), now: now) == [
                .finish(.startupFailed(.init(code: 3, message: "b")))
            ])
    }

    @Test func aFailedFirstStartIsTriedAgainOnceAnotherWorkerServes() {
        var fleet = Fleet(rules: .init(workers: 2))
        _ = fleet.start(now: now)
        _ = fleet.exited(id(1, 1), startupFailure(), now: now)
        #expect(fleet.becameReady(id(2, 1), now: now) == [.backOff(slot: 1, failures: 2, delay: .milliseconds(500))])
        #expect(fleet.tick(now: now + .seconds(1)) == [.start(id(1, 2), succeeding: nil)])
    }

    @Test func aRefusedSpawnIsTriedAgainForTheSameDeath() {
        var fleet = serving(1)
        _ = fleet.exited(id(1, 1), crash, now: now)
        let failure = StartupFailure(code: 1, message: "no memory")
        #expect(
            fleet.spawnFailed(id(1, 2), succeeding: id(1, 1), failure: failure, now: now)
                == [.backOff(slot: 1, failures: 2, delay: .milliseconds(500))])
        #expect(fleet.tick(now: now + .seconds(1)) == [.start(id(1, 3), succeeding: id(1, 1))])
    }

    @Test func stoppingTerminatesAllAndFinishesWithTheLast() {
        var fleet = serving(2)
        #expect(fleet.stop(now: now) == [.terminate(id(1, 1)), .terminate(id(2, 1))])
        #expect(fleet.stop(now: now) == [])
        #expect(fleet.exited(id(1, 1), crash, now: now) == [])
        #expect(fleet.tick(now: now + .seconds(30)) == [.kill(id(2, 1))])
        #expect(fleet.exited(id(2, 1), crash, now: now) == [.finish(.stopped)])
    }

    @Test func stoppingWhileOneSlotWaitsDoesNotWaitForIt() {
        var fleet = serving(1)
        _ = fleet.exited(id(1, 1), crash, now: now)
        _ = fleet.exited(id(1, 2), startupFailure(), now: now)
        #expect(fleet.stop(now: now) == [.finish(.stopped)])
        #expect(fleet.tick(now: now + .seconds(60)) == [])
    }

    @Test func withoutRespawnTheLastDeathFinishes() {
        var fleet = serving(2, respawns: false)
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.abandon(id(1, 1))])
        #expect(fleet.exited(id(2, 1), crash, now: now) == [.abandon(id(2, 1)), .finish(.allWorkersGone)])
    }

    @Test func aReloadGoesSlotBySlotAndTheNewOneServesFirst() {
        var fleet = serving(2)
        #expect(fleet.reloadWorkers(now: now) == [.start(id(1, 2), succeeding: nil)])
        #expect(fleet.becameReady(id(1, 2), now: now) == [.terminate(id(1, 1))])
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.start(id(2, 2), succeeding: nil)])
        #expect(fleet.becameReady(id(2, 2), now: now) == [.terminate(id(2, 1))])
        #expect(fleet.exited(id(2, 1), crash, now: now) == [.reloadFinished])
    }

    @Test func aReloadAskedForTwiceDismissesTheWorkerThatStartsAndBeginsAgain() {
        var fleet = serving(2)
        _ = fleet.reloadWorkers(now: now)
        #expect(fleet.reloadWorkers(now: now) == [.terminate(id(1, 2)), .start(id(1, 3), succeeding: nil)])
        #expect(fleet.becameReady(id(1, 3), now: now) == [.terminate(id(1, 1))])
        #expect(fleet.exited(id(1, 2), crash, now: now) == [])
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.start(id(2, 2), succeeding: nil)])
    }

    @Test func aReloadAskedForTwiceWhileAnOldWorkerDrainsBeginsAgainAtItsEnd() {
        var fleet = serving(1)
        _ = fleet.reloadWorkers(now: now)
        _ = fleet.becameReady(id(1, 2), now: now)
        #expect(fleet.reloadWorkers(now: now) == [])
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.reloadFinished, .start(id(1, 3), succeeding: nil)])
    }

    @Test func aRecycledWorkerGoesWhenItsSuccessorServes() {
        var fleet = serving(2)
        #expect(fleet.recycle(id(1, 1), now: now) == [.start(id(1, 2), succeeding: nil)])
        #expect(fleet.recycle(id(1, 1), now: now) == [], "it is under way")
        #expect(fleet.recycle(id(2, 1), now: now) == [], "one at a time")
        #expect(fleet.becameReady(id(1, 2), now: now) == [.terminate(id(1, 1))])
        #expect(fleet.recycle(id(2, 1), now: now) == [], "the old one is not gone")
        #expect(fleet.exited(id(1, 1), crash, now: now) == [])
        #expect(fleet.recycle(id(2, 1), now: now) == [.start(id(2, 2), succeeding: nil)])
    }

    @Test func aRecycledWorkerServesOnIfItsSuccessorFails() {
        var fleet = serving(1)
        _ = fleet.recycle(id(1, 1), now: now)
        #expect(fleet.exited(id(1, 2), startupFailure(), now: now) == [])
        #expect(fleet.recycle(id(1, 1), now: now) == [.start(id(1, 3), succeeding: nil)])
    }

    @Test func duringAReloadNobodyIsRecycled() {
        var fleet = serving(2)
        _ = fleet.reloadWorkers(now: now)
        #expect(fleet.recycle(id(2, 1), now: now) == [])
    }

    @Test func aReloadStartsTheSuccessorOfARecycledWorkerAnew() {
        var fleet = serving(1)
        _ = fleet.recycle(id(1, 1), now: now)
        #expect(fleet.reloadWorkers(now: now) == [.terminate(id(1, 2)), .start(id(1, 3), succeeding: nil)])
        #expect(fleet.becameReady(id(1, 3), now: now) == [.terminate(id(1, 1))])
        #expect(fleet.exited(id(1, 2), crash, now: now) == [])
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.reloadFinished])
    }

    /// A worker that hung on import made every later reload wait for it.
    @Test func aCandidateThatIsNotReadyInTimeIsGivenUpAndTheOldWorkerStays() {
        var fleet = serving(1)
        _ = fleet.reloadWorkers(now: now)
        #expect(fleet.deadline == now + .seconds(60))
        #expect(fleet.tick(now: now + .seconds(59)) == [])
        #expect(fleet.tick(now: now + .seconds(60)) == [.giveUp(id(1, 2))])
        #expect(fleet.tick(now: now + .seconds(61)) == [])
        #expect(fleet.exited(id(1, 2), startupFailure(), now: now) == [.reloadFailed(slot: 1)])
        #expect(fleet.deadline == nil)
        #expect(fleet.reloadWorkers(now: now) == [.start(id(1, 3), succeeding: nil)])
    }

    @Test func aFirstWorkerThatIsNotReadyInTimeIsAFailedStart() {
        var fleet = Fleet(rules: .init(workers: 1, startupTimeout: .seconds(1)))
        _ = fleet.start(now: now)
        #expect(fleet.tick(now: now + .seconds(1)) == [.giveUp(id(1, 1))])
        #expect(
            fleet.exited(id(1, 1), startupFailure(), now: now) == [
                .finish(.startupFailed(.init(code: 3, message: "no module")))
            ])
    }

    @Test func withoutAStartupTimeoutAWorkerMayLoadForEver() {
        var fleet = Fleet(rules: .init(workers: 1, startupTimeout: .zero))
        _ = fleet.start(now: now)
        #expect(fleet.deadline == nil)
    }

    @Test func aCandidateThatFailsLeavesTheOldWorkerServing() {
        var fleet = serving(2)
        _ = fleet.reloadWorkers(now: now)
        #expect(fleet.exited(id(1, 2), startupFailure(), now: now) == [.reloadFailed(slot: 1)])
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.start(id(1, 3), succeeding: id(1, 1))])
    }

    @Test func aCandidateTakesOverFromAnOldWorkerThatDies() {
        var fleet = serving(1)
        _ = fleet.reloadWorkers(now: now)
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.adopt(id(1, 2), succeeding: id(1, 1))])
        #expect(fleet.becameReady(id(1, 2), now: now) == [.reloadFinished])
    }

    /// The dismissed worker was still dying when its successor failed: nobody asked again, and a server without workers ran for ever.
    @Test func theServerEndsWhenTheFirstWorkerAndTheOneOfAReloadBothFail() {
        var fleet = Fleet(rules: .init(workers: 1))
        _ = fleet.start(now: now)
        #expect(fleet.reloadWorkers(now: now) == [.terminate(id(1, 1)), .start(id(1, 2), succeeding: nil)])
        #expect(fleet.exited(id(1, 2), startupFailure(), now: now) == [.reloadFailed(slot: 1)])
        #expect(
            fleet.exited(id(1, 1), startupFailure(), now: now) == [
                .finish(.startupFailed(.init(code: 3, message: "no module")))
            ])
    }

    @Test func aReloadStartsAWaitingSlotAtOnce() {
        var fleet = serving(1)
        _ = fleet.exited(id(1, 1), crash, now: now)
        _ = fleet.exited(id(1, 2), startupFailure(), now: now)
        #expect(fleet.reloadWorkers(now: now) == [.start(id(1, 3), succeeding: id(1, 2))])
        #expect(fleet.becameReady(id(1, 3), now: now) == [.reloadFinished])
    }

    @Test func aStopDuringAReloadStopsOldAndNew() {
        var fleet = serving(1)
        _ = fleet.reloadWorkers(now: now)
        #expect(fleet.stop(now: now) == [.terminate(id(1, 1)), .terminate(id(1, 2))])
        #expect(fleet.exited(id(1, 2), crash, now: now) == [])
        #expect(fleet.exited(id(1, 1), crash, now: now) == [.finish(.stopped)])
    }

    @Test func whatComesTooLateOrOfStrangersChangesNothing() {
        var fleet = serving(1)
        #expect(fleet.becameReady(id(7, 1), now: now) == [])
        #expect(fleet.exited(id(0, 1), crash, now: now) == [])
        #expect(fleet.exited(id(1, 9), crash, now: now) == [])
        #expect(fleet.becameReady(id(1, 1), now: now) == [])
    }
}
