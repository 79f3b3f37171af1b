// Defines where a value was made: thread, time and stack, cheap enough to note for every value.

import CGraniteCapture
import Glibc

/// Where and when a value was made.
struct Origin: Sendable {
    /// gettid(2).
    var thread: UInt32
    /// CLOCK_REALTIME.
    var createdNanoseconds: UInt64
    /// Return addresses by frame pointers, innermost first; the first `frameCount` are valid.
    var frames: Frames
    var frameCount: UInt32

    /// `GRANITE_MAX_CREATION_FRAMES` words without an allocation of their own.
    typealias Frames = (
        UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64
    )

    /// Here and now. The innermost frame is the caller.
    @inline(__always)
    static func here() -> Origin {
        var frames: Frames = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        let count = withUnsafeMutableBytes(of: &frames) { buffer in
            buffer.withMemoryRebound(to: UInt64.self) { words in
                words.baseAddress.map { granite_capture_frame_pointers($0, UInt32(words.count)) } ?? 0
            }
        }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Origin(
            thread: granite_capture_thread_id(), createdNanoseconds: UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec),
            frames: frames, frameCount: count)
    }
}
