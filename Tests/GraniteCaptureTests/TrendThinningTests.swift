import GraniteCapture
import Testing

struct TrendThinningTests {
    /// The times that 64 slots hold after a sample a second.
    private func samples(after seconds: Int) -> [UInt64] {
        var times = [UInt64](repeating: 0, count: 64)
        for second in 1...seconds {
            let now = UInt64(second) * 1_000_000_000
            times[TrendThinning.slot(for: now, in: times)] = now
        }
        return times.sorted().map { $0 / 1_000_000_000 }
    }

    @Test func theFirstMinuteIsKeptWhole() {
        #expect(samples(after: 64) == (1...64).map { UInt64($0) })
    }

    @Test(arguments: [300, 3600, 10_000])
    func theStartStaysTheLastSecondsAreDenseAndNoGapIsLongBesideItsAge(seconds: Int) {
        let times = samples(after: seconds)
        #expect(times.first == 1)
        #expect(times.suffix(5) == (0..<5).map { UInt64(seconds - 4 + $0) }[...])
        for (earlier, later) in zip(times, times.dropFirst()) {
            let age = UInt64(seconds) - earlier
            #expect(later - earlier <= max(2, age / 2), "a gap of \(later - earlier) s, \(age) s before the end")
        }
    }

    @Test func aClockThatStandsStillOrATimeFromTheFutureStillFindsASlot() {
        var times = [UInt64](repeating: 5, count: 64)
        #expect((0..<64).contains(TrendThinning.slot(for: 5, in: times)))
        times[3] = .max
        #expect((0..<64).contains(TrendThinning.slot(for: 6, in: times)))
        #expect(TrendThinning.slot(for: 1, in: [9, 9]) == 0)
    }
}
