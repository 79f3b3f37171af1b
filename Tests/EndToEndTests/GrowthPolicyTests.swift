// When a worker's memory is looked at: the rules, without a worker.

import Testing

@testable import granite

struct GrowthPolicyTests {
    /// A sample a second of these MiB, and as many thousand objects.
    private func actions(
        _ policy: inout GrowthPolicy, _ mebibytes: [UInt64], objects: [UInt64]? = nil, from start: Double = 0
    ) -> [[GrowthPolicy.Action]] {
        mebibytes.enumerated().map { index, value in
            policy.observe(
                .init(
                    seconds: start + Double(index), residentBytes: value << 20,
                    objects: (objects?[index] ?? value) * 1000))
        }
    }

    private func all(_ told: [[GrowthPolicy.Action]]) -> [GrowthPolicy.Action] { told.flatMap { $0 } }

    @Test func growthWithoutEndIsCountedTwiceAndReported() {
        var policy = GrowthPolicy(maxRSSBytes: 0)
        #expect(
            actions(&policy, [23, 70, 117, 164, 211]) == [[], [.takeBaseline], [], [.report(.growth)], []])
    }

    @Test func aReportIsFollowedByARest() {
        var policy = GrowthPolicy(maxRSSBytes: 0)
        _ = actions(&policy, [23, 70, 117, 164])
        #expect(actions(&policy, [400, 800, 1600], from: 4) == [[], [], []])
        #expect(actions(&policy, [1600, 2200], from: 700) == [[], [.takeBaseline]])
    }

    @Test func memoryThatStandsStillIsNoGrowth() {
        var policy = GrowthPolicy(maxRSSBytes: 0)
        let told = actions(&policy, [UInt64](repeating: 80, count: 100))
        #expect(all(told) == [])
    }

    /// A start: the application is warm after some requests.
    @Test func growthThatEndsIsForgotten() {
        var policy = GrowthPolicy(maxRSSBytes: 0)
        let told = actions(&policy, [30, 60] + [UInt64](repeating: 60, count: 30))
        #expect(all(told) == [.takeBaseline])
        #expect(actions(&policy, [100, 160], from: 40) == [[], []], "the next look has a pause before it")
    }

    @Test func memoryThatFallsBackIsForgotten() {
        var policy = GrowthPolicy(maxRSSBytes: 0)
        let told = actions(&policy, [30, 60, 100, 40, 100, 160])
        #expect(all(told) == [.takeBaseline])
    }

    @Test func memoryThatGrowsWithoutObjectsIsNotTheCollectors() {
        var policy = GrowthPolicy(maxRSSBytes: 0)
        let told = actions(&policy, [23, 70, 117, 164, 211], objects: [50, 50, 50, 51, 51])
        #expect(all(told) == [.takeBaseline])
    }

    @Test func slowGrowthIsFoundToo() {
        var policy = GrowthPolicy(maxRSSBytes: 0)
        let told = actions(&policy, (0..<200).map { 100 + $0 })
        #expect(all(told) == [.takeBaseline, .report(.growth)])
    }

    @Test func aWorkerOverItsLimitIsReportedAndThenTold() {
        var policy = GrowthPolicy(maxRSSBytes: 100 << 20)
        #expect(
            actions(&policy, [90, 101, 101, 101, 101, 101, 101, 101]) == [
                [], [], [.takeBaseline], [], [.report(.maxRSS)], [], [.tellOutgrown], [],
            ])
    }

    @Test func oneSampleOverTheLimitIsNotEnough() {
        var policy = GrowthPolicy(maxRSSBytes: 100 << 20)
        let told = actions(&policy, [90, 101, 99, 101, 99])
        #expect(all(told) == [])
    }

    @Test func aWorkerThatIsNotReplacedSaysSoAgainAndReportsOnce() {
        var policy = GrowthPolicy(maxRSSBytes: 100 << 20)
        let told = actions(&policy, [UInt64](repeating: 120, count: 70))
        #expect(all(told) == [.takeBaseline, .report(.maxRSS), .tellOutgrown, .tellOutgrown, .tellOutgrown])
    }

    @Test func aBaselineOfGrowthServesTheLimitToo() {
        var policy = GrowthPolicy(maxRSSBytes: 100 << 20)
        let told = actions(&policy, [23, 70, 98, 110, 120, 121, 122])
        #expect(all(told) == [.takeBaseline, .report(.maxRSS), .tellOutgrown])
    }

    @Test func whatAFullCollectionLeftIsKept() {
        #expect(GrowthPolicy.Cause.growth.name(fullCollections: 1) == "objects_kept")
        #expect(GrowthPolicy.Cause.growth.name(fullCollections: 0) == "collector_behind")
        #expect(GrowthPolicy.Cause.maxRSS.name(fullCollections: 3) == "max_rss")
    }
}
