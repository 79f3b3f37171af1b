// Defines what is told of mistakes that workers survive and only count: how many came since it was told last. Pure bookkeeping.

package import GraniteCrashChannel

/// The counts that were told, by worker and mistake.
package struct OccasionLedger: Sendable {
    /// More of a worker's mistakes are not told at one look; the rest comes at the next ones.
    package static let maxNews = 8

    package struct News: Sendable, Equatable {
        package var occasion: CrashPage.Occasion
        /// How many came since the last time, those with a report of their own not included.
        package var sinceLast: Int
    }

    private var told: [WorkerID: [UInt64: UInt32]] = [:]

    package init() {}

    /// What is new, the most frequent first.
    ///
    /// - Parameter occasions: of the worker's page, which may say anything.
    package mutating func observe(_ occasions: [CrashPage.Occasion], of id: WorkerID) -> [News] {
        var news: [News] = []
        for occasion in occasions {
            // A report is told by itself.
            let counted = occasion.count > occasion.captured ? occasion.count - occasion.captured : 0
            let before = told[id]?[occasion.fingerprint] ?? 0
            guard counted > before else { continue }
            news.append(News(occasion: occasion, sinceLast: Int(counted - before)))
        }
        news = Array(news.sorted { $0.sinceLast > $1.sinceLast }.prefix(Self.maxNews))
        for one in news {
            told[id, default: [:]][one.occasion.fingerprint] = one.occasion.count - one.occasion.captured
        }
        return news
    }

    /// The worker is gone.
    package mutating func forget(_ id: WorkerID) { told[id] = nil }
}
