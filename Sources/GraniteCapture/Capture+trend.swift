// Notes how the worker's memory went in the crash page. It is separate from the other notes because 64 samples must tell both the last
// seconds and the last days: which one a new sample replaces is a question of its own.

import CGraniteCapture
import Synchronization

extension Capture {
    /// Notes a sample of the process's memory, about once a second. The event loop alone, on one thread at a time; no system call.
    ///
    /// - Parameters:
    ///   - monotonicNanoseconds: CLOCK_MONOTONIC.
    ///   - residentBytes: the resident size.
    ///   - pythonObjects: tracked by the cyclic garbage collector, 0 if that is not known.
    public static func noteMemory(monotonicNanoseconds now: UInt64, residentBytes: UInt64, pythonObjects: UInt64 = 0) {
        guard let page = granite_capture_page() else { return }
        let ring = (UnsafeMutableRawPointer(page) + Int(GRANITE_OFFSET_TREND.rawValue))
            .assumingMemoryBound(to: granite_trend_sample.self)
        let samples = UnsafeBufferPointer(start: ring, count: Int(GRANITE_MAX_TREND))
        let slot = TrendThinning.slot(for: now, in: samples.lazy.map(\.time_ns))
        // A reader takes a sample whose time is not 0; the writer may die between any two stores.
        ring[slot].time_ns = 0
        atomicMemoryFence(ordering: .releasing)
        ring[slot].rss_bytes = residentBytes
        ring[slot].requests_served = page.pointee.requests_served
        ring[slot].python_objects = pythonObjects
        atomicMemoryFence(ordering: .releasing)
        ring[slot].time_ns = now
        page.pointee.trend_count &+= 1
    }
}

/// Which sample makes room for a new one.
package enum TrendThinning {
    /// The slot to write to: a free one, else that of the sample whose gap is the least beside its age. So the gaps grow with the age: a
    /// second apart lately, minutes apart an hour ago, and the first of all stays.
    ///
    /// - Parameter times: of the samples in their slots, in any order; 0 is free.
    package static func slot(for now: UInt64, in times: some Collection<UInt64>) -> Int {
        if let free = times.enumerated().first(where: { $0.element == 0 })?.offset { return free }
        let order = times.enumerated().sorted { $0.element < $1.element }
        guard order.count > 2 else { return 0 }
        var best = (slot: order[1].offset, cost: Double.infinity)
        for index in 1..<(order.count - 1) {
            let gap = Double(order[index + 1].element &- order[index - 1].element)
            let age = Double(now > order[index].element ? now - order[index].element : 0)
            // An age of nothing is a clock that stood still; a second keeps the newest from being worth everything.
            let cost = gap / (age + 1e9)
            if cost < best.cost { best = (order[index].offset, cost) }
        }
        return best.slot
    }
}
