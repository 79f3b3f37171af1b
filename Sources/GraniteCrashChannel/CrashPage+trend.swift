// Reads the samples of memory out of a crash page, while the worker may be writing one; and writes those of a process that takes none of
// itself.

import CGraniteCapture
import Glibc

extension CrashPage {
    /// How the worker used memory at one moment.
    package struct TrendSample: Sendable, Equatable {
        /// CLOCK_MONOTONIC.
        package var timeNanoseconds: UInt64
        package var residentBytes: UInt64
        package var requestsServed: UInt64
        /// 0 if it is not known.
        package var pythonObjects: UInt64
    }

    /// The samples that are complete, oldest first; the page holds them in no order.
    package func trend() throws(CrashPageError) -> [TrendSample] {
        try read(
            granite_trend_sample.self, at: Int(GRANITE_OFFSET_TREND.rawValue), count: Int(GRANITE_MAX_TREND),
            while: "reading the trend of memory in the crash page"
        ).filter { $0.time_ns != 0 }.map {
            TrendSample(
                timeNanoseconds: $0.time_ns, residentBytes: $0.rss_bytes, requestsServed: $0.requests_served,
                pythonObjects: $0.python_objects)
        }.sorted { $0.timeNanoseconds < $1.timeNanoseconds }
    }

    /// Writes a sample over what the slot holds; only where the process itself writes none. A page that does not take it stays as it is.
    ///
    /// - Parameters:
    ///   - slot: below `GRANITE_MAX_TREND`.
    ///   - nanoseconds: CLOCK_MONOTONIC, not 0.
    package func noteMemory(slot: Int, nanoseconds: UInt64, residentBytes: UInt64) {
        guard (0..<Int(GRANITE_MAX_TREND)).contains(slot) else { return }
        let offset = Int(GRANITE_OFFSET_TREND.rawValue) + slot * MemoryLayout<granite_trend_sample>.stride
        var sample = granite_trend_sample()
        sample.rss_bytes = residentBytes
        let written = withUnsafeBytes(of: sample) { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
        // The time makes it valid, so it comes last; it is the first field.
        guard written == MemoryLayout<granite_trend_sample>.size else { return }
        _ = withUnsafeBytes(of: nanoseconds) { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    }
}
