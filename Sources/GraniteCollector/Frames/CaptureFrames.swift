// Removes the frames of the capture itself from a stack that was captured by a call: they are not what its reader asks for. Pure.

import GraniteReport

enum CaptureFrames {
    /// The capture is entered this far from the innermost frame at most.
    static let depth = 16

    /// The frames from the caller of `granite_capture_now` outwards.
    static func removed(from frames: [Frame]) -> [Frame] {
        let last = frames.prefix(depth).lastIndex { frame in
            frame.kind == .native && (frame.rawSymbol ?? frame.symbol ?? "").hasPrefix("granite_capture")
        }
        guard let last, last + 1 < frames.count else { return frames }
        return Array(frames[(last + 1)...])
    }
}
