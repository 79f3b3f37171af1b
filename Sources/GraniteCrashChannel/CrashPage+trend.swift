// Reads the samples of memory out of a crash page, while the worker may be writing one.

import CGraniteCapture

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
}
