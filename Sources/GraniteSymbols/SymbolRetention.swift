// Defines which files of a symbol store are thrown away: a pure rule, so that it is tested without a disk.

/// What `prune` keeps. Without a limit it keeps everything.
package struct SymbolRetention: Sendable {
    /// Files that were added longer ago go. Seconds.
    package var maxAgeSeconds: Int?
    /// Of all files together. From the one added last on, each stays that still fits.
    package var maxTotalBytes: Int64?
    /// Build-ids that may stay: all others go. Nil: all may.
    package var used: Set<[UInt8]>?

    package init(maxAgeSeconds: Int? = nil, maxTotalBytes: Int64? = nil, used: Set<[UInt8]>? = nil) {
        self.maxAgeSeconds = maxAgeSeconds
        self.maxTotalBytes = maxTotalBytes
        self.used = used
    }

    /// The entries that go, oldest first. `now` is in seconds since 1970.
    package func removed(of entries: [SymbolStore.Entry], now: Int) -> [SymbolStore.Entry] {
        let newestFirst = entries.sorted { ($0.added, $0.path) > ($1.added, $1.path) }
        var total: Int64 = 0
        let removed = newestFirst.filter { entry in
            if let maxAgeSeconds, isOlder(entry, than: maxAgeSeconds, now) { return true }
            if let used, !used.contains(entry.buildID) { return true }
            guard let maxTotalBytes else { return false }
            let (sum, overflow) = total.addingReportingOverflow(max(0, entry.bytes))
            if overflow || sum > maxTotalBytes { return true }
            total = sum
            return false
        }
        return removed.reversed()
    }

    /// File systems keep any time that they are given.
    private func isOlder(_ entry: SymbolStore.Entry, than seconds: Int, _ now: Int) -> Bool {
        let (age, overflow) = now.subtractingReportingOverflow(entry.added)
        return overflow ? entry.added < now : age > seconds
    }
}
