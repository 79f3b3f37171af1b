// Says in a few words how a worker's memory went, for the text of a report, its reason and the log line alike.

extension MemoryInfo {
    /// What the worker used at its end: the last sample, or more if the kernel or getrusage(2) knows of more. 0 = not known.
    ///
    /// - Parameter peak: the most it ever had, 0 if not known.
    package func lastBytes(peak: UInt64) -> UInt64 {
        let sampled = trend?.last?.rssBytes ?? 0
        return max(sampled, oomKill?.anonymousBytes ?? 0, rose(to: peak, from: sampled) ? peak : 0)
    }

    /// `48 MiB → 243 MiB in 4 s, limit 256 MiB`, `52 MiB, limit 256 MiB`; nil if nothing is known.
    package func phrase(peak: UInt64) -> String? {
        let last = lastBytes(peak: peak)
        guard last > 0 else { return cgroup?.limitBytes.map { "limit \(Quantity.memory($0))" } }
        var text = Quantity.memory(last)
        if let growth = growth(to: last), let span = Quantity.duration(seconds: growth.seconds) {
            text = "\(Quantity.memory(growth.from)) → \(text) in \(span)"
        }
        return text + (cgroup?.limitBytes.map { ", limit \(Quantity.memory($0))" } ?? "")
    }

    /// Whether ``phrase(peak:)`` says more than a number: it grew, or there was a limit, or the kernel had something to say.
    package func isTelling(peak: UInt64) -> Bool {
        cgroup?.limitBytes != nil || oomKill != nil || growth(to: lastBytes(peak: peak)) != nil
    }

    /// Since when it grew to what it was at the end: from the last sample at which it was at its lowest. nil if it did not grow by a
    /// tenth and a megabyte.
    package func growth(to last: UInt64) -> (from: UInt64, seconds: Double)? {
        guard let trend, let lowest = trend.map(\.rssBytes).min(),
            let start = trend.last(where: { $0.rssBytes <= lowest &+ lowest / 50 }), start.ageSeconds.isFinite,
            start.ageSeconds > 0, last > start.rssBytes, last - start.rssBytes >= max(1_000_000, start.rssBytes / 10)
        else { return nil }
        return (start.rssBytes, start.ageSeconds)
    }

    /// A process that is killed within a second of its growth was sampled before it: the kernel's peak then says more.
    private func rose(to peak: UInt64, from sampled: UInt64) -> Bool {
        guard peak > sampled, let trend else { return trend == nil }
        // A peak of long ago, at the start, is none of the end: only memory that was still there at the last samples counts.
        return !trend.contains { $0.ageSeconds < 3 && $0.rssBytes < sampled } || oomKill != nil
            || (cgroup?.oomKills ?? 0) > 0
    }
}
