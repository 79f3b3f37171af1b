// Puts the waiting callers of a Swift async function into its stack: they are on no thread, only in the chain of contexts. Pure.

import GraniteReport

enum AsyncFrames {
    /// Frames inside of which the innermost async function is looked for.
    static let depth = 64

    /// - Parameters:
    ///   - frames: the thread's, innermost first.
    ///   - callers: the frames of the resume functions, innermost first.
    static func inserted(_ callers: [Frame], into frames: [Frame]) -> [Frame] {
        guard !callers.isEmpty, let innermost = frames.prefix(depth).firstIndex(where: isAsync),
            // What is inlined into one another is one activation.
            let position = frames[innermost...].firstIndex(where: { $0.inlined != true })
        else { return frames }
        let waiting = callers.map { caller in
            var frame = caller
            frame.kind = .swiftAsync
            frame.trust = nil
            return frame
        }
        return Array(frames[...position]) + waiting + Array(frames[(position + 1)...])
    }

    /// The parts of an async function are mangled with the suffixes TY (suspend) and TQ (await resume) and a number
    /// (swift, docs/ABI/Mangling.rst).
    static func isAsync(_ frame: Frame) -> Bool {
        guard frame.kind == .native, let raw = frame.rawSymbol, raw.hasPrefix("$s"), raw.hasSuffix("_") else {
            return false
        }
        let digits = raw.dropLast().reversed().prefix { $0.isNumber }.count
        let mark = raw.dropLast(digits + 1).suffix(2)
        return mark == "TY" || mark == "TQ"
    }
}
