// Removes the frames of the capture itself from a stack that was captured by a call: they are not what its reader asks for. Pure.

import GraniteReport

enum CaptureFrames {
    /// The capture is entered this far from the innermost frame at most.
    static let depth = 16

    /// The frames from whoever asked for the capture outwards: `ThreadBound.deinit`, a hook.
    static func removed(from frames: [Frame]) -> [Frame] {
        let last = frames.prefix(depth).lastIndex(where: isCapture)
        guard let last, last + 1 < frames.count else { return frames }
        return Array(frames[(last + 1)...])
    }

    /// The C core, and the ways into it: GraniteCapture's, and the worker's hooks in `sys` and `threading`.
    private static func isCapture(_ frame: Frame) -> Bool {
        guard frame.kind == .native, let symbol = frame.symbol else { return false }
        return symbol.hasPrefix("granite_capture") || symbol.contains("Capture.now(")
            || symbol.contains("Capture.count(") || symbol.contains("PythonHooks.")
            || ["granite_wrong_thread", "granite_bound_"].contains(where: symbol.hasPrefix)
            || ["report(", "reportUse(", "isHandedHome("].contains { symbol.contains("ThreadBound.\($0)") }
    }
}
