// Decides when a worker's memory is looked at. A pure struct: it is told a sample about once a second and returns what to do; counting,
// reports and messages are GrowthWatch's.

/// Watches the resident memory for growth that does not end, and for the limit of --max-rss.
struct GrowthPolicy: Sendable {
    enum Cause: Sendable, Equatable {
        case growth
        case maxRSS

        /// As the report has it. What a whole collection of all generations left is kept by somebody; without one nobody knows.
        ///
        /// - Parameter fullCollections: that ran between the two countings.
        func name(fullCollections: Int) -> String {
            switch self {
            case .maxRSS: "max_rss"
            case .growth: fullCollections > 0 ? "objects_kept" : "collector_behind"
            }
        }
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
    /// From the report to the first telling: the log shall name the report.
    static let reportSeconds = 2.0

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
            guard hasReportedLimit else {
                self.baseline = sample
                return [.takeBaseline]
            }
            guard sample.seconds - toldOutgrown >= Self.repeatSeconds else { return [] }
            toldOutgrown = sample.seconds
            return [.tellOutgrown]
        }
        guard sample.seconds - baseline.seconds >= Self.shortestSeconds else { return [] }
        self.baseline = nil
        hasReportedLimit = true
        restsUntil = sample.seconds + Self.restSeconds
        toldOutgrown = sample.seconds - Self.repeatSeconds + Self.reportSeconds
        return [.report(.maxRSS)]
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
        return [.report(.growth)]
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
