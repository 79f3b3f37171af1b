// What a worker notes in its crash page while all is well. Plain stores into shared memory: no system call, any thread.
// They outlive the process, whatever kills it.

import CGraniteCapture

extension Capture {
    /// The app is imported, requests are accepted.
    public static func setReady(_ ready: Bool = true) {
        granite_capture_page()?.pointee.ready = ready ? 1 : 0
    }

    /// The event loop made a turn.
    ///
    /// - Parameter monotonicNanoseconds: CLOCK_MONOTONIC.
    public static func setHeartbeat(monotonicNanoseconds: UInt64) {
        granite_capture_page()?.pointee.heartbeat_ns = monotonicNanoseconds
    }

    /// How many requests were served since the start.
    public static func setRequestsServed(_ count: UInt64) {
        granite_capture_page()?.pointee.requests_served = count
    }

    /// The resident size, sampled about once a second.
    public static func setResidentBytes(_ bytes: UInt64) {
        granite_capture_page()?.pointee.rss_bytes = bytes
    }
}
