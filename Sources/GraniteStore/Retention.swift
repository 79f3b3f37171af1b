// Defines which reports are thrown away: a pure rule, so that it is tested without a disk.

/// How much is kept. The newest report always stays.
package struct Retention: Sendable, Equatable {
    /// Reports.
    package var maxCount: Int
    /// Bytes of all reports together.
    package var maxTotalBytes: Int

    package init(maxCount: Int = 500, maxTotalBytes: Int = 1 << 30) {
        self.maxCount = maxCount
        self.maxTotalBytes = maxTotalBytes
    }

    /// Of files from newest to oldest, given by their sizes, how many stay.
    func kept(sizes: [Int]) -> Int {
        var total = 0
        for (index, size) in sizes.enumerated() {
            total = total.addingReportingOverflow(max(0, size)).partialValue
            if index > 0, index >= maxCount || total > maxTotalBytes || total < 0 { return index }
        }
        return sizes.count
    }
}
