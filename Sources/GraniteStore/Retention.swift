// Defines which reports are thrown away: a pure rule, so that it is tested without a disk.

/// How much is kept. The newest report always stays.
package struct Retention: Sendable, Equatable {
    /// Reports.
    package var maxCount: Int
    /// Reports of hangs and dumps among them: a server with slow requests makes one a minute.
    package var maxRoutineCount: Int
    /// Bytes of all reports together.
    package var maxTotalBytes: Int

    package init(maxCount: Int = 500, maxRoutineCount: Int = 100, maxTotalBytes: Int = 1 << 30) {
        self.maxCount = maxCount
        self.maxRoutineCount = maxRoutineCount
        self.maxTotalBytes = maxTotalBytes
    }

    struct Candidate {
        var bytes: Int
        /// Of a hang or a dump: goes before any report of a crash.
        var isRoutine = false
    }

    /// Whether the classes matter: if all fits, nothing need be known of the files but their sizes.
    func mayRemove(_ sizes: [Int]) -> Bool {
        sizes.count > min(maxCount, maxRoutineCount) || total(sizes) > maxTotalBytes
    }

    /// Of files from newest to oldest, the places of those that go.
    func removed(_ files: [Candidate]) -> [Int] {
        var removed = Set(files.indices.filter { files[$0].isRoutine && $0 > 0 }.dropFirst(routineLimit(files)))
        var total = total(files.indices.filter { !removed.contains($0) }.map { files[$0].bytes })
        let oldestFirst = files.indices.dropFirst().reversed().filter { !removed.contains($0) }
        for index in oldestFirst.filter({ files[$0].isRoutine }) + oldestFirst.filter({ !files[$0].isRoutine }) {
            guard files.count - removed.count > maxCount || total > maxTotalBytes else { break }
            removed.insert(index)
            // A total that had overflowed is only known anew.
            total = self.total(files.indices.filter { !removed.contains($0) }.map { files[$0].bytes })
        }
        return removed.sorted()
    }

    /// How many of the routine ones behind the newest report may stay.
    private func routineLimit(_ files: [Candidate]) -> Int {
        max(0, maxRoutineCount - (files.first?.isRoutine == true ? 1 : 0))
    }

    /// At most Int.max.
    private func total(_ sizes: [Int]) -> Int {
        sizes.reduce(0) { total, size in
            let (sum, overflow) = total.addingReportingOverflow(max(0, size))
            return overflow ? .max : sum
        }
    }
}
