// Mistakes that workers count: what is told of them, and when.

import GraniteCrashChannel
import GraniteLogging
import GraniteSupervisor
import TestSupport
import Testing

struct OccasionLedgerTests {
    private let worker = WorkerID(slot: 1, generation: 1)

    private func occasion(_ fingerprint: UInt64, count: UInt32, captured: UInt32 = 1) -> CrashPage.Occasion {
        CrashPage.Occasion(
            fingerprint: fingerprint, kind: .dropSite, count: count, captured: captured, firstNanoseconds: 1,
            lastNanoseconds: 2, subject: "cursor", message: "cursor is being released on another thread")
    }

    @Test func theReportedOneIsNotToldAgain() {
        var ledger = OccasionLedger()
        #expect(ledger.observe([occasion(1, count: 1)], of: worker).isEmpty)
    }

    @Test func whatCameSinceTheLastLookIsTold() {
        var ledger = OccasionLedger()
        #expect(ledger.observe([occasion(1, count: 20_000)], of: worker).map(\.sinceLast) == [19_999])
        #expect(ledger.observe([occasion(1, count: 20_000)], of: worker).isEmpty)
        let news = ledger.observe([occasion(1, count: 20_005)], of: worker)
        #expect(news.map(\.sinceLast) == [5])
        #expect(news.first?.occasion.count == 20_005)
    }

    @Test func theMostFrequentComeFirstAndTheRestLater() {
        var ledger = OccasionLedger()
        let many = (1...12).map { occasion(UInt64($0), count: UInt32($0) * 10) }
        let first = ledger.observe(many, of: worker)
        #expect(first.count == OccasionLedger.maxNews)
        #expect(first.first?.occasion.fingerprint == 12)
        #expect(ledger.observe(many, of: worker).map(\.occasion.fingerprint) == [4, 3, 2, 1])
    }

    /// The page is the worker's to write.
    @Test func numbersThatMakeNoSenseAreLeftOut() {
        var ledger = OccasionLedger()
        #expect(ledger.observe([occasion(1, count: 5, captured: .max)], of: worker).isEmpty)
        _ = ledger.observe([occasion(2, count: 100)], of: worker)
        #expect(ledger.observe([occasion(2, count: 3)], of: worker).isEmpty)
    }

    @Test func anotherWorkerCountsForItself() {
        var ledger = OccasionLedger()
        _ = ledger.observe([occasion(1, count: 10)], of: worker)
        let other = WorkerID(slot: 1, generation: 2)
        #expect(ledger.observe([occasion(1, count: 10)], of: other).map(\.sinceLast) == [9])
        ledger.forget(worker)
        #expect(ledger.observe([occasion(1, count: 10)], of: worker).map(\.sinceLast) == [9])
    }
}

/// The same, by a server and its log.
@Suite(.timeLimit(.minutes(1)))
struct CountedOccasionTests {
    @Test func countsAreToldWhileTheWorkerLivesAndSummedUpAtItsEnd() async throws {
        try await TestServer.run {
            $0.countInterval = .milliseconds(20)
            $0.scripts = ["1.1": ["ready", "occasion 41", "serve"]]
        } _: { server in
            let worker = try await server.recorder.ready(1)
            let counted = await server.recorder.first { event -> ServerEvent.CrashCounted? in
                if case .crashCounted(let counted) = event { counted } else { nil }
            }
            #expect(
                counted
                    == .init(
                        worker: worker, kind: "drop_site", subject: "cursor", message: "cursor was dropped", count: 40,
                        total: 41))
            server.supervisor.reload()
            #expect(try await server.recorder.exited(1).survived == 41)
        }
    }

    @Test func aWorkerThatOutgrewItsLimitIsReplacedByOneThatIsReady() async throws {
        try await TestServer.run {
            $0.scripts = ["1.1": ["ready", "outgrown 300", "serve"]]
        } _: { server in
            let old = try await server.recorder.ready(1)
            _ = try await server.recorder.ready(1, generation: 2)
            let recycled = await server.recorder.first { event -> ServerEvent.WorkerRecycled? in
                if case .workerRecycled(let recycled) = event { recycled } else { nil }
            }
            #expect(recycled == .init(worker: old, rssBytes: 300, limitBytes: 200, crashID: nil))
            let exited = try await server.recorder.exited(1)
            #expect(exited.expected)
            #expect(exited.survived == 0)
            #expect(!server.recorder.names.contains("server.reloaded"))
        }
    }
}
