// Adds up what several processes counted of the same mistake: a server has many workers, and a person wants one line. Pure.

package import GraniteReport

/// The sums of one run.
package struct CountedSums: Sendable {
    /// Kinds that are told apart.
    static let limit = 256

    private struct Key: Hashable {
        var program: String
        var kind: CrashReport.Kind?
        var subject: String?
        var message: String?
    }

    private var order: [Key] = []
    private var sums: [Key: (process: CapturedProcess, occasion: CountedOccasion)] = [:]

    package init() {}

    package mutating func add(_ process: CapturedProcess, _ occasion: CountedOccasion) {
        let key = Key(
            program: process.program, kind: occasion.kind, subject: occasion.subject, message: occasion.message)
        if var sum = sums[key] {
            sum.occasion.count = Self.sum(sum.occasion.count, occasion.count)
            sum.occasion.captured = Self.sum(sum.occasion.captured, occasion.captured)
            sums[key] = sum
        } else if order.count < Self.limit {
            order.append(key)
            sums[key] = (process, occasion)
        }
    }

    /// The counts are a stranger's.
    private static func sum(_ left: Int?, _ right: Int?) -> Int {
        let (sum, overflow) = (left ?? 0).addingReportingOverflow(right ?? 0)
        return overflow ? .max : sum
    }

    /// In the order in which they came first.
    package var events: [RunEvent] {
        order.compactMap { key in sums[key].map { .counted($0.process, $0.occasion) } }
    }
}
