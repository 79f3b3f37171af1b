// Defines the reader's side of a crash page. It is separate from the collector because the supervisor makes the pages
// and looks at them too.

import CGraniteCapture
import Glibc

/// A crash page, seen from another process than the one that writes it.
///
/// Everything in it may be hostile: the writer is a process that is crashing. Parts are copied out with pread(2), never
/// mapped, so a page that is truncated or changed meanwhile gives an error or a strange value, never a signal.
/// Every method reads afresh and may be called from any thread.
package final class CrashPage: Sendable {
    let descriptor: Int32

    /// Opens the page behind a descriptor, which stays the caller's: it is duplicated.
    package init(descriptor: Int32) throws(CrashPageError) {
        let doing = "opening the crash page"
        let own = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard own >= 0 else { throw CrashPageError(.system, errno: errno, while: doing) }
        self.descriptor = own
        let head = try read(CrashPageHead.self, at: 0, count: 1, while: doing)[0]
        guard head.magic == GRANITE_PAGE_MAGIC else { throw CrashPageError(.notAPage, while: doing) }
        guard head.version == GRANITE_PAGE_VERSION, head.headerSize == UInt32(GRANITE_PAGE_HEADER_SIZE.rawValue) else {
            throw CrashPageError(.version(head.version), while: doing)
        }
    }

    deinit { close(descriptor) }

    /// The fixed fields at the beginning of the page.
    package func status() throws(CrashPageError) -> Status {
        Status(try read(CrashPageHead.self, at: 0, count: 1, while: "reading the status in the crash page")[0])
    }

    /// The capture in progress or ended.
    package func capture() throws(CrashPageError) -> Capture {
        Capture(try rawCapture())
    }

    func rawCapture() throws(CrashPageError) -> granite_capture {
        try read(
            granite_capture.self, at: Int(GRANITE_OFFSET_CAPTURE.rawValue), count: 1,
            while: "reading the capture in the crash page")[0]
    }

    /// The threads of the capture; the first is the crashed one. At most `GRANITE_MAX_THREADS`.
    package func threads() throws(CrashPageError) -> [Thread] {
        let count = min(Int(try rawCapture().thread_count), Int(GRANITE_MAX_THREADS))
        return try read(
            granite_thread.self, at: Int(GRANITE_OFFSET_THREADS.rawValue), count: count,
            while: "reading the threads in the crash page"
        ).map(Thread.init)
    }

    /// The last breadcrumbs, oldest first. One that was being written is left out.
    package func breadcrumbs() throws(CrashPageError) -> [Breadcrumb] {
        let doing = "reading the breadcrumbs in the crash page"
        let written = try read(CrashPageHead.self, at: 0, count: 1, while: doing)[0].breadcrumbCount
        let ring = try read(
            granite_breadcrumb.self, at: Int(GRANITE_OFFSET_BREADCRUMBS.rawValue), count: Int(GRANITE_MAX_BREADCRUMBS),
            while: doing)
        let kept = min(written, UInt32(GRANITE_MAX_BREADCRUMBS))
        return (0..<kept).compactMap { age in
            let entry = ring[Int((written &- kept &+ age) % UInt32(GRANITE_MAX_BREADCRUMBS))]
            return entry.sequence % 2 == 0 && entry.sequence != 0 ? Breadcrumb(entry) : nil
        }
    }

    /// The text of the worker's /proc/self/maps, as far as it was kept. Empty before stage D.
    package func maps() throws(CrashPageError) -> [UInt8] {
        let capture = try rawCapture()
        let end = UInt64(GRANITE_SNAPSHOT_OFFSET) + UInt64(GRANITE_SNAPSHOT_CAPACITY)
        guard capture.maps_offset >= UInt64(GRANITE_SNAPSHOT_OFFSET), capture.maps_offset < end else { return [] }
        let length = min(capture.maps_length, UInt64(GRANITE_MAPS_CAPACITY), end - capture.maps_offset)
        return try read(
            UInt8.self, at: Int(capture.maps_offset), count: Int(length), while: "reading the maps in the crash page")
    }

    /// Reads `count` plain C values. All of them or an error.
    func read<Value: BitwiseCopyable>(
        _ type: Value.Type, at offset: Int, count: Int, while doing: String
    ) throws(CrashPageError) -> [Value] {
        guard count > 0 else { return [] }
        var failure: CrashPageError?
        let values = [Value](unsafeUninitializedCapacity: count) { buffer, initialized in
            failure = fill(UnsafeMutableRawBufferPointer(buffer), at: offset, while: doing)
            initialized = failure == nil ? count : 0
        }
        if let failure { throw failure }
        return values
    }

    /// Fills the buffer from the file; returns why it could not.
    private func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int, while doing: String) -> CrashPageError? {
        var filled = 0
        while filled < buffer.count {
            let got = pread(
                descriptor, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, off_t(offset + filled))
            if got > 0 {
                filled += got
            } else if got == 0 {
                return CrashPageError(.truncated, while: doing)
            } else if errno != EINTR {
                return CrashPageError(.system, errno: errno, while: doing)
            }
        }
        return nil
    }
}
