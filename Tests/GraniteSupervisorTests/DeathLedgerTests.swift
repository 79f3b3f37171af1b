import GraniteReport
import GraniteSupervisor
import Testing

/// The order in which death, replacement and report come does not matter; each is told once.
struct DeathLedgerTests {
    let now = ContinuousClock.now
    let id = WorkerID(slot: 2, generation: 1)
    let summary = CrashSummary(
        id: "A", kind: "signal", reason: "because", category: nil, confidence: nil, request: nil, top: [],
        fingerprint: nil, complete: true,
        report: nil)
    let successor = WorkerIdentity(slot: 2, pid: 2, generation: 2)

    func death(crashID: String? = "A") -> DeathLedger.Death {
        .init(
            id: id, worker: .init(slot: 2, pid: 1, generation: 1), crashID: crashID, uptimeSeconds: 1, requests: 0,
            exit: ExitStatus(waitStatus: 11), noticed: now)
    }
    func crash(_ events: [ServerEvent]?) -> ServerEvent.Crash? {
        guard case .workerRespawned(let respawned)? = events?.first else { return nil }
        return respawned.crash
    }

    @Test func theRespawnWaitsForTheReport() {
        var ledger = DeathLedger()
        #expect(ledger.add(death(), willBeReplaced: true) == [])
        #expect(ledger.replaced(id, by: successor, now: now + .milliseconds(2))?.events == [])
        #expect(crash(ledger.reported(crashID: "A", summary)) == .reported(summary))
        #expect(ledger.reported(crashID: "A", summary) == nil)
    }

    @Test func aReportDuringABackoffIsToldAtOnceAndNotTwice() {
        var ledger = DeathLedger()
        _ = ledger.add(death(), willBeReplaced: true)
        #expect(ledger.reported(crashID: "A", summary)?.map(\.name) == ["crash.reported"])
        guard
            case .workerRespawned(let respawned)? = ledger.replaced(id, by: successor, now: now + .seconds(30))?.events
                .first
        else {
            Issue.record("no respawn event")
            return
        }
        #expect(respawned.alreadyReported)
        #expect(respawned.respawnMilliseconds == 30_000)
    }

    @Test func afterTenSecondsTheRespawnIsToldWithoutItsReport() {
        var ledger = DeathLedger()
        _ = ledger.add(death(), willBeReplaced: true)
        _ = ledger.replaced(id, by: successor, now: now)
        #expect(ledger.deadline == now + .seconds(10))
        #expect(ledger.tick(now: now + .milliseconds(9999)) == [])
        #expect(crash(ledger.tick(now: now + .seconds(10))) == .pending(id: "A"))
        #expect(ledger.reported(crashID: "A", summary) == nil)
        #expect(!ledger.awaitsReports)
    }

    @Test func withoutAReplacementTheReportIsToldByItself() {
        var ledger = DeathLedger()
        #expect(ledger.add(death(), willBeReplaced: false) == [])
        #expect(ledger.reported(crashID: "A", summary)?.map(\.name) == ["crash.reported"])
        #expect(ledger.flush() == [])
    }

    @Test func withoutAReportTheRespawnIsToldAtOnce() {
        var ledger = DeathLedger()
        _ = ledger.add(death(crashID: nil), willBeReplaced: true)
        let events = ledger.replaced(id, by: successor, now: now)?.events
        #expect(events?.map(\.name) == ["worker.respawned"])
        #expect(crash(events) == nil)
    }

    @Test func aFailedReportLeavesTheId() {
        var ledger = DeathLedger()
        _ = ledger.add(death(), willBeReplaced: true)
        _ = ledger.replaced(id, by: successor, now: now)
        #expect(crash(ledger.reportFailed(crashID: "A")) == .pending(id: "A"))
    }

    @Test func theEndOfTheServerTellsWhatIsKnown() {
        var ledger = DeathLedger()
        _ = ledger.add(death(), willBeReplaced: true)
        _ = ledger.replaced(id, by: successor, now: now)
        #expect(crash(ledger.flush()) == .pending(id: "A"))
        #expect(ledger.flush() == [])
    }
}
