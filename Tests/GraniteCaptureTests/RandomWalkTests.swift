// The handler's walk over contexts that no program has: no hang, no second death. The full count by
// GRANITE_TEST_WALKS=100000, another run by GRANITE_TEST_SEED.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(20)))
struct RandomWalkTests {
    private static func number(_ name: String, default value: UInt64) -> UInt64 {
        Foundation.ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? value
    }

    @Test func everyWalkComesBack() async throws {
        let count = Self.number("GRANITE_TEST_WALKS", default: 4000)
        let seed = Self.number("GRANITE_TEST_SEED", default: 20_261_125)
        let (ending, _, errors) = try await Command.run(
            BuildProducts.executable("CrashProbe"), ["random-walks", "--argument", "\(count),\(seed)"],
            limit: 900)
        #expect(ending == .code(0), "seed \(seed): \(errors)")
        #expect(errors.hasPrefix("\(count) walks: "))
    }

    /// libunwind may loop within a step, where no deadline between steps helps.
    @Test func aStepThatNeverEndsIsCutShort() async throws {
        let run = try await ProbeRun.run("walk-hangs")
        #expect(run.ending == .signal(SIGSEGV))
        let capture = try run.page.capture()
        #expect(capture.stage == .finished)
        #expect(capture.flags == .walkFaulted)
        #expect(try run.page.snapshot().segments.contains { $0.kind == .stack })
    }
}
