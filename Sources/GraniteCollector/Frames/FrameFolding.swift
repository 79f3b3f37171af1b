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
        guard let cycle = longestCycle(frames.map(Key.init)) else { return (frames, nil) }
        return (
            removing(cycle, from: frames),
            .init(start: cycle.start, length: cycle.length, repeats: cycle.repeats, atLeast: reachedLimit ? true : nil)
        )
    }

    /// A run of turns that are alike.
    struct Cycle: Equatable {
        /// Index of its first frame.
        var start: Int
        /// Frames in one turn.
        var length: Int
        /// Turns after the first.
        var repeats: Int
    }

    /// The frames with one turn of the cycle.
    static func removing<Element>(_ cycle: Cycle, from frames: [Element]) -> [Element] {
        Array(frames[..<(cycle.start + cycle.length)]) + frames[(cycle.start + cycle.length * (cycle.repeats + 1))...]
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

    /// The longest run of a cycle that begins among the innermost frames, of the shortest turn; nil if nothing repeats enough.
    static func longestCycle<Key: Hashable>(_ keys: [Key]) -> Cycle? {
        // Numbers instead of keys: a comparison is then one word.
        var numbers: [Key: Int] = [:]
        let codes = keys.map { key in
            if let known = numbers[key] { return known }
            numbers[key] = numbers.count
            return numbers.count - 1
        }
        return codes.withUnsafeBufferPointer { codes in
            var best: Cycle?
            for length in 1...maxCycleLength where codes.count >= 2 * length {
                // Two turns of a known cycle are no new one.
                if let best, best.start == 0, length % best.length == 0 { continue }
                // Runs of positions that equal the one a turn later; a run of n positions is n / length further turns.
                var position = 0
                while position < maxStart, position + length < codes.count {
                    var run = 0
                    while position + run + length < codes.count, codes[position + run] == codes[position + run + length]
                    {
                        run += 1
                    }
                    let found = Cycle(start: position, length: length, repeats: run / length)
                    let better = best.map { found.repeats * length > $0.repeats * $0.length } ?? true
                    if found.repeats > 0, (found.repeats + 1) * length >= minFoldedFrames, better { best = found }
                    position += run + 1
                }
            }
            return best
        }
    }
}
