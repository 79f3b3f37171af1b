// Defines how a runaway recursion becomes readable: the repeating cycle of frames is kept once, with the number of turns that were left
// out, and both ends of the stack stay. Pure.

package import GraniteReport

package enum FrameFolding {
    /// Frames in one turn at most: mutual recursion through an interpreter has some tens.
    static let maxCycleLength = 64
    /// Fewer frames than this in all turns are left as they are: a reader can still see the whole.
    static let minFoldedFrames = 64
    /// The innermost frames in which the cycle must begin.
    static let maxStart = 256

    /// Folds the longest run of a repeating cycle.
    /// - Parameter reachedLimit: true if the walk stopped at its limit; then there were at least so many turns.
    package static func fold(_ frames: [Frame], reachedLimit: Bool) -> (
        frames: [Frame], cycle: ThreadReport.FoldedCycle?
    ) {
        let keys = frames.map(Key.init)
        guard let (start, length, repeats) = longestCycle(keys) else { return (frames, nil) }
        let kept = Array(frames[..<(start + length)]) + frames[(start + length * (repeats + 1))...]
        return (kept, .init(start: start, length: length, repeats: repeats, atLeast: reachedLimit ? true : nil))
    }

    /// What makes two frames the same activation of the same code.
    private struct Key: Hashable {
        var address: UInt64?
        var symbol: String?
        var line: Int?
        var inlined: Bool?
        init(_ frame: Frame) {
            address = frame.address?.value
            symbol = frame.symbol
            line = frame.line
            inlined = frame.inlined
        }
    }

    private static func longestCycle(_ keys: [Key]) -> (start: Int, length: Int, repeats: Int)? {
        // Numbers instead of keys: a comparison is then one word.
        var numbers: [Key: Int] = [:]
        let codes = keys.map { key in
            if let known = numbers[key] { return known }
            numbers[key] = numbers.count
            return numbers.count - 1
        }
        var best: (start: Int, length: Int, repeats: Int)?
        for length in 1...maxCycleLength where codes.count >= 2 * length {
            // Runs of positions that equal the one a turn later; a run of n positions is n / length further turns.
            var position = 0
            while position + length < codes.count {
                var run = 0
                while position + run + length < codes.count, codes[position + run] == codes[position + run + length] {
                    run += 1
                }
                let repeats = run / length
                let better = best.map { repeats * length > $0.repeats * $0.length } ?? true
                if repeats > 0, position < maxStart, (repeats + 1) * length >= minFoldedFrames, better {
                    best = (position, length, repeats)
                }
                position += run + 1
            }
        }
        return best
    }
}
