// Mistakes that are counted: nothing is lost, and only the first of a kind is captured.

import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct OccasionTests {
    @Test func fortyThousandDropsOfOneKindAreCountedAndOneIsCaptured() async throws {
        let run = try await ProbeRun.run("occasions", collector: nil)
        #expect(run.ending == .code(0))
        let occasions = try run.page.occasions()
        #expect(occasions.count == 1)
        let occasion = try #require(occasions.first)
        #expect(occasion.fingerprint == 0xfeed)
        #expect(occasion.count == 40_000)
        #expect(occasion.kind == .dropSite)
        #expect(occasion.subject == "cursor")
        #expect(occasion.message == "dropped elsewhere")
        // Threads that came while the first was captured may have captured, too, before it was noted; never more than the threads.
        #expect((1...4).contains(occasion.captured))
        let capture = try run.page.capture()
        #expect(capture.sequence == occasion.captured)
        #expect(capture.details["type"] == "Cursor")
        #expect(capture.details["generation"] == "2")
    }

    @Test func kindsBeyondTheTableAreCountedTogether() async throws {
        let run = try await ProbeRun.run("occasion-kinds", collector: nil)
        #expect(run.ending == .code(0))
        let occasions = try run.page.occasions()
        #expect(occasions.count == 64)
        #expect(occasions.allSatisfy { $0.count == 2 })
        // Twice ten kinds that found no room, and the first ones that came faster than the rate limit allows reports.
        let captured = try run.page.capture().sequence
        #expect(try run.page.status().suppressedCaptures >= 20)
        #expect(occasions.map(\.captured).reduce(0, +) == captured)
    }
}
