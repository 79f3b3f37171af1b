// Notes what the program does on its way in the crash page: a ring of the last 64. A report shows them oldest first.

import CGraniteCapture
import Glibc
import Synchronization

extension Capture {
    /// Leaves a breadcrumb. Any thread; no system call but the thread's first. Two threads that lap the ring at once
    /// may garble one entry, never more.
    ///
    /// - Parameters:
    ///   - category: a word, e.g. "worker"; cut to 23 bytes.
    ///   - message: cut to 215 bytes.
    public static func breadcrumb(_ category: String, _ message: String) {
        guard let page = granite_capture_page() else { return }
        let number = granite_capture_next_breadcrumb()
        let ring = (UnsafeMutableRawPointer(page) + Int(GRANITE_OFFSET_BREADCRUMBS.rawValue))
            .assumingMemoryBound(to: granite_breadcrumb.self)
        let entry = ring + Int(number % UInt32(GRANITE_MAX_BREADCRUMBS))
        entry.pointee.sequence = number &* 2 &+ 1
        atomicMemoryFence(ordering: .releasing)
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        entry.pointee.tid = granite_capture_thread_id()
        entry.pointee.time_ns = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        store(category, in: &entry.pointee.category)
        store(message, in: &entry.pointee.message)
        atomicMemoryFence(ordering: .releasing)
        entry.pointee.sequence = number &* 2 &+ 2
    }

    private static func store<Field: BitwiseCopyable>(_ text: String, in field: inout Field) {
        withUnsafeMutableBytes(of: &field) { buffer in
            var end = 0
            for byte in text.utf8.prefix(buffer.count - 1) {
                buffer[end] = byte
                end += 1
            }
            buffer[end] = 0
        }
    }
}
