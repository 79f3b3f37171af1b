// The loop's part for what workers survive: mistakes that are counted in their pages, and memory that has grown too much.

import GraniteCrashChannel
import GraniteReport

extension CrashPage.Occasion {
    /// Not one that was asked for, nor growth.
    var isMistake: Bool { kind != .dump && kind != .growth }
}

extension SupervisorLoop {
    /// Tells of what was counted since the last look.
    func countOccasions(now: ContinuousClock.Instant) {
        guard let nextCount, nextCount <= now else { return }
        self.nextCount = now + configuration.countInterval
        for worker in workers.values.sorted(by: { $0.id < $1.id }) {
            for news in occasions.observe(worker.occasions, of: worker.id) {
                record(
                    .crashCounted(
                        .init(
                            worker: worker.identity, kind: Self.name(news.occasion.kind),
                            subject: Redaction.text(news.occasion.subject),
                            message: Redaction.text(news.occasion.message), count: news.sinceLast,
                            total: Int(news.occasion.count))))
            }
        }
    }

    /// A worker has more memory than it may have: its successor is started, and it goes when that serves.
    func replaceOutgrown(_ worker: WorkerProcess, rssBytes: UInt64, limitBytes: UInt64) {
        worker.outgrown = (rssBytes, limitBytes)
        perform(fleet.recycle(worker.id, now: .now))
    }

    private static func name(_ kind: CrashPage.Kind) -> String {
        switch kind {
        case .dropSite: CrashReport.Kind.dropSite.rawValue
        case .unraisable: CrashReport.Kind.unraisable.rawValue
        case .threadException: CrashReport.Kind.threadException.rawValue
        case .panic: CrashReport.Kind.panic.rawValue
        case .growth: CrashReport.Kind.growth.rawValue
        case .uncaught: CrashReport.Kind.uncaughtException.rawValue
        case .none, .signal, .dump, .hang: CrashReport.Kind.dump.rawValue
        }
    }
}
