// Removes the frames of the capture itself from a stack that was captured by a call: they are not what its reader asks for. Pure.

import GraniteReport

enum CaptureFrames {
    /// The capture is entered this far from the innermost frame at most.
    static let depth = 16

    /// The frames from whoever asked for the capture outwards: `ThreadBound.deinit`, a hook.
    static func removed(from frames: [Frame]) -> [Frame] {
        let named = frames.prefix(depth).lastIndex(where: isCapture).map { $0 + 1 } ?? 0
        // All of the preloaded library, with or without names; not its function at the start of every thread.
        let preloaded = frames.prefix { $0.module.map(SourcePath.name) == "libgranite-preload.so" }.count
        let count = max(named, preloaded)
        return count < frames.count ? Array(frames[count...]) : frames
    }

    /// The C core, and the ways into it: GraniteCapture's, the hooks that Python calls, and the worker's word to them.
    private static func isCapture(_ frame: Frame) -> Bool {
        guard frame.kind == .native, let symbol = frame.symbol else { return false }
        return beginnings.contains(where: symbol.hasPrefix) || parts.contains(where: symbol.contains)
    }

    private static let beginnings = ["granite_capture", "granite_hooks_", "granite_wrong_thread", "granite_bound_"]
    private static let parts = [
        "Capture.now(", "Capture.count(", "ThreadBound.report(", "ThreadBound.reportUse(", "ThreadBound.isHandedHome(",
        "PythonException.tellHooks(", "RequestError.report(",
    ]
}
