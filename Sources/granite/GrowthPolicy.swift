// Decides when a worker's memory is looked at. A pure struct: it is told a sample about once a second and returns what to do; counting,
// reports and messages are GrowthWatch's.

/// Watches the resident memory for growth that does not end, and for the limit of --max-rss.
struct GrowthPolicy: Sendable {
    enum Cause: String, Sendable {
        case collectorBehind = "collector_behind"
        case maxRSS = "max_rss"
    }

    enum Action: Sendable, Equatable {
        /// Count the objects, to compare with later.
        case takeBaseline
        /// Count them again, and report what grew.
        case report(Cause)
        /// Tell the supervisor that the limit is exceeded.
        case tellOutgrown
    }

    struct Sample: Sendable, Equatable {
        /// CLOCK_MONOTONIC.
        var seconds: Double
        var residentBytes: UInt64
        /// Tracked by Python's collector, 0 if that is not known.
        var objects: UInt64
    }

    /// 0 is without limit.
    let maxRSSBytes: UInt64

    /// Growth that makes the first census worth its cost, and growth after it that makes a report.
    static let sign = (factor: 1.25, bytes: UInt64(16 << 20))
    static let proof = (factor: 1.5, bytes: UInt64(64 << 20))
    /// Between the two, at least; and how long memory may stand still before the first is forgotten.
    static let shortestSeconds = 2.0
    static let stillSeconds = 10.0
    /// After a first census that led to nothing, and after a report.
    static let pauseSeconds = 60.0
    static let restSeconds = 600.0
    /// Samples above the limit before it counts, and seconds until it is told again.
    static let samplesAboveLimit = 2
    static let repeatSeconds = 30.0

    private var baseline: Sample?
    private var lowest: Sample?
    private var last: Sample?
    /// When memory last rose.
    private var rose = 0.0
    private var restsUntil = -Double.infinity
    private var above = 0
    private var hasReportedLimit = false
    private var toldOutgrown = -Double.infinity

    init(maxRSSBytes: UInt64) { self.maxRSSBytes = maxRSSBytes }

    mutating func observe(_ sample: Sample) -> [Action] {
        defer { last = sample }
        if let last, sample.residentBytes > last.residentBytes { rose = sample.seconds }
        let limit = observeLimit(sample)
        return limit ?? observeGrowth(sample)
    }

    /// nil: there is no limit, or it is kept.
    private mutating func observeLimit(_ sample: Sample) -> [Action]? {
        above = maxRSSBytes > 0 && sample.residentBytes > maxRSSBytes ? above + 1 : 0
        guard above >= Self.samplesAboveLimit else { return nil }
        guard let baseline else {
            guard !hasReportedLimit else { return outgrown(sample, after: []) }
            self.baseline = sample
            return [.takeBaseline]
        }
        guard sample.seconds - baseline.seconds >= Self.shortestSeconds else { return [] }
        self.baseline = nil
        hasReportedLimit = true
        restsUntil = sample.seconds + Self.restSeconds
        return outgrown(sample, after: [.report(.maxRSS)])
    }

    private mutating func outgrown(_ sample: Sample, after actions: [Action]) -> [Action] {
        guard sample.seconds - toldOutgrown >= Self.repeatSeconds else { return actions }
        toldOutgrown = sample.seconds
        return actions + [.tellOutgrown]
    }

    private mutating func observeGrowth(_ sample: Sample) -> [Action] {
        guard let baseline else {
            // What shrinks or rests begins anew.
            let isRising = sample.seconds - rose < Self.stillSeconds && !hasShrunk(sample)
            if !isRising || lowest == nil || sample.residentBytes < (lowest?.residentBytes ?? 0) { lowest = sample }
            guard let lowest, sample.seconds >= restsUntil, grew(from: lowest, to: sample, Self.sign) else { return [] }
            self.baseline = sample
            return [.takeBaseline]
        }
        if hasShrunk(sample) || sample.seconds - rose >= Self.stillSeconds {
            self.baseline = nil
            lowest = sample
            restsUntil = sample.seconds + Self.pauseSeconds
            return []
        }
        guard sample.seconds - baseline.seconds >= Self.shortestSeconds, grew(from: baseline, to: sample, Self.proof),
            baseline.objects == 0 || Double(sample.objects) >= Double(baseline.objects) * Self.proof.factor
        else { return [] }
        self.baseline = nil
        lowest = sample
        restsUntil = sample.seconds + Self.restSeconds
        return [.report(.collectorBehind)]
    }

    /// By more than what an allocator gives back between two samples.
    private func hasShrunk(_ sample: Sample) -> Bool {
        guard let last else { return false }
        return Double(sample.residentBytes) < Double(last.residentBytes) * 0.95
    }

    private func grew(from old: Sample, to new: Sample, _ by: (factor: Double, bytes: UInt64)) -> Bool {
        new.residentBytes >= old.residentBytes &+ by.bytes
            && Double(new.residentBytes) >= Double(old.residentBytes) * by.factor
    }
}
