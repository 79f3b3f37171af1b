// Defines when the application shares the loop's thread and when it has its own. Pure; separate so that flapping can be
// tested.

/// Keeps a moving average of the application's time per request, and compares it with what a handoff costs.
///
/// Measured break-even is 9 to 10 microseconds of application time (research/flask-throughput-prototype, section 2).
struct ModePolicy: Equatable {
    private static let splitAboveNanoseconds: UInt64 = 12_000
    private static let inlineBelowNanoseconds: UInt64 = 8_000
    /// With inline preferred: an application that mostly waits is better off on its own thread even without a core for
    /// it.
    private static let preferredInlineBelowNanoseconds: UInt64 = 2_000_000
    /// One request counts a 64th: a single slow one does not change the mode of a fast application for long.
    private static let weight: UInt64 = 64
    /// An hour: keeps the arithmetic in range.
    private static let longest: UInt64 = 3_600_000_000_000

    let prefersInline: Bool
    private(set) var averageNanoseconds: UInt64 = 0

    init(prefersInline: Bool) { self.prefersInline = prefersInline }

    @inline(__always)
    mutating func note(nanoseconds: UInt64) {
        let sample = min(nanoseconds, Self.longest)
        averageNanoseconds = (averageNanoseconds * (Self.weight - 1) + sample) / Self.weight
    }

    /// While inline, at the end of a batch.
    var shouldSplit: Bool { !prefersInline && averageNanoseconds > Self.splitAboveNanoseconds }

    /// While split, for an average read from another thread.
    static func shouldJoin(averageNanoseconds: UInt64, prefersInline: Bool) -> Bool {
        averageNanoseconds < (prefersInline ? preferredInlineBelowNanoseconds : inlineBelowNanoseconds)
    }
}
