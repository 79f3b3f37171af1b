// Defines how a very deep stack is folded before it has names: a hundred thousand frames of the same function are one name. Pure but for
// the names.

import GraniteReport

/// The frames of a walk, and the cycle in their middle that was left out.
struct DeepStack {
    /// Fewer are named all, and folded by name.
    static let minFrames = 1024
    /// More are folded even where Python frames must be merged in.
    static let maxMergedFrames = 131_072

    private let frames: [UnwoundFrame]
    /// In addresses: where the cycle that was kept once begins, its length, and the turns that were left out.
    private let cycle: FrameFolding.Cycle?
    private let isOpen: Bool

    /// - Parameter foldsFrom: a stack of so many frames is folded.
    init(_ thread: UnwoundThread, foldsFrom: Int) {
        let found = thread.frames.count >= foldsFrom ? FrameFolding.longestCycle(thread.frames.map(\.address)) : nil
        cycle = found
        guard let found else {
            frames = thread.frames
            isOpen = false
            return
        }
        frames = FrameFolding.removing(found, from: thread.frames)
        // Cut short inside the recursion: it went on.
        let tail = thread.frames.count - found.start - found.length * (found.repeats + 1)
        isOpen = (thread.end == .limit || thread.end == .missingMemory) && tail < found.length
    }

    /// The frames with names, and the cycle in terms of them.
    func named(_ namer: inout FrameNamer) -> ([Frame], ThreadReport.FoldedCycle?) {
        guard let cycle else { return (namer.name(frames), nil) }
        let inner = namer.name(Array(frames[..<cycle.start]))
        let turn = namer.name(Array(frames[cycle.start..<(cycle.start + cycle.length)]))
        let outer = namer.name(Array(frames[(cycle.start + cycle.length)...]))
        return (
            inner + turn + outer,
            .init(start: inner.count, length: turn.count, repeats: cycle.repeats, atLeast: isOpen ? true : nil)
        )
    }

    /// Frames behind the cycle count the turns that are not there. What a stored report says of turns that cannot be is not counted.
    static func renumbered(_ frames: [Frame], around cycle: ThreadReport.FoldedCycle) -> [Frame] {
        let (end, isEndless) = cycle.start.addingReportingOverflow(cycle.length)
        let (product, overflow) = max(0, cycle.repeats).multipliedReportingOverflow(by: cycle.length)
        let omitted = overflow || isEndless || product > .max - frames.count ? 0 : product
        var frames = frames
        for index in frames.indices {
            frames[index].index = index < end ? index : index + omitted
        }
        return frames
    }
}
