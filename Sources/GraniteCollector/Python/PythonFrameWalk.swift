// Defines the walk over the frames of all threads: level by level, so that a round trip serves every thread, and
// without names, so that what must be read while the worker is held comes first.

/// The frames of every thread, as addresses.
struct PythonFrameWalk {
    static let maxFramesPerThread = 4096
    /// Of all threads together.
    static let maxFrames = 131_072

    /// Up to so many threads, a batch for one level is small enough to read ahead.
    private static let fewThreads = 16

    struct RawFrame {
        var address: UInt64
        /// Of the code object; 0 for a shim.
        var code: UInt64
        /// Byte offset into the code; nil if it cannot be told.
        var instruction: Int?
        var endsNativeEval: Bool
        var isShim: Bool
    }

    struct Stack {
        var frames: [RawFrame] = []
        /// More frames follow, or could not be read.
        var truncated = false
        /// Where on the C stack the innermost interpreter loop keeps something of its own; nil before 3.10.
        var stackAddress: UInt64?
    }

    /// In the order of `threads`.
    private(set) var stacks: [Stack]
    private(set) var problems: [String] = []

    private let layout: PythonLayout
    private let pages: RemotePages

    init(threads: [PythonThreadList.Thread], layout: PythonLayout, pages: RemotePages) {
        self.layout = layout
        self.pages = pages
        stacks = Array(repeating: Stack(), count: threads.count)
        walk(from: innermostFrames(of: threads))
        for (index, thread) in threads.enumerated() { stacks[index].stackAddress = stackAddress(of: thread, index) }
    }

    /// Addresses of the innermost frames; 0 where a thread runs no Python, nil where that cannot be read.
    private mutating func innermostFrames(of threads: [PythonThreadList.Thread]) -> [UInt64?] {
        if let threadFrame = layout.threadFrame {
            return threads.map { pages.integer(at: $0.state &+ UInt64(threadFrame)) }
        }
        guard let threadCFrame = layout.threadCFrame, let cframeFrame = layout.cframeFrame else {
            return threads.map { _ in nil }
        }
        let cframes: [UInt64?] = threads.map { pages.integer(at: $0.state &+ UInt64(threadCFrame)) }
        pages.fetch(cframes.compactMap { $0.map { MemoryRange(address: $0 &+ UInt64(cframeFrame), length: 8) } })
        return cframes.map { $0.flatMap { $0 == 0 ? 0 : pages.integer(at: $0 &+ UInt64(cframeFrame)) } }
    }

    /// 3.12 and 3.13 have their shims on the C stack (`entry_frame`, ceval.c), 3.10 and 3.11 a _PyCFrame.
    private func stackAddress(of thread: PythonThreadList.Thread, _ index: Int) -> UInt64? {
        guard !stacks[index].frames.isEmpty else { return nil }
        if layout.frameOwner != nil { return stacks[index].frames.first(where: \.isShim)?.address }
        return layout.threadCFrame.flatMap { pages.integer(at: thread.state &+ UInt64($0)) }
    }

    private mutating func walk(from innermost: [UInt64?]) {
        var next: [(thread: Int, frame: UInt64)] = []
        for (thread, frame) in innermost.enumerated() {
            if let frame { next.append((thread, frame)) } else { end(thread, "could not be read") }
        }
        var seen: [Set<UInt64>] = Array(repeating: [], count: innermost.count)
        var total = 0
        while !next.isEmpty {
            next.removeAll { $0.frame == 0 }
            pages.fetch(
                next.map { MemoryRange(address: $0.frame, length: layout.frameBytes) },
                readAhead: next.count <= Self.fewThreads ? RemotePages.chainReadAhead : 0)
            var outer: [(thread: Int, frame: UInt64)] = []
            for (thread, frame) in next {
                if stacks[thread].frames.count >= Self.maxFramesPerThread || total >= Self.maxFrames {
                    stacks[thread].truncated = true  // deep recursion is no damage
                    continue
                }
                guard seen[thread].insert(frame).inserted else {
                    end(thread, "run in a circle")
                    continue
                }
                guard let (raw, previous) = read(frame) else {
                    end(thread, pages.isExhausted ? "were too many to read" : "could not be read to their end")
                    continue
                }
                stacks[thread].frames.append(raw)
                total += 1
                outer.append((thread, previous))
            }
            next = outer
        }
    }

    private mutating func end(_ thread: Int, _ what: String) {
        stacks[thread].truncated = true
        if problems.count < 16 {
            problems.append("The Python frames of one thread \(what) (after \(stacks[thread].frames.count)).")
        }
    }

    private func read(_ frame: UInt64) -> (frame: RawFrame, previous: UInt64)? {
        guard frame % 8 == 0, let previous: UInt64 = pages.integer(at: frame &+ UInt64(layout.framePrevious)),
            let code: UInt64 = pages.integer(at: frame &+ UInt64(layout.frameCode))
        else { return nil }

        if let offset = layout.frameOwner {
            guard let owner: UInt8 = pages.integer(at: frame &+ UInt64(offset)), owner <= Self.ownedByCStack else {
                return nil
            }
            if owner == Self.ownedByCStack {
                return (
                    RawFrame(address: frame, code: 0, instruction: nil, endsNativeEval: true, isShim: true), previous
                )
            }
        }
        var endsNativeEval = layout.frameOwner == nil
        if let offset = layout.frameIsEntry {
            guard let isEntry: UInt8 = pages.integer(at: frame &+ UInt64(offset)), isEntry <= 1 else { return nil }
            endsNativeEval = isEntry == 1
        }
        let raw = RawFrame(
            address: frame, code: code, instruction: instruction(of: frame, code: code),
            endsNativeEval: endsNativeEval, isShim: false)
        return (raw, previous)
    }

    /// FRAME_OWNED_BY_CSTACK, the highest of enum _frameowner (pycore_frame.h of 3.12 and 3.13).
    private static let ownedByCStack: UInt8 = 3

    private func instruction(of frame: UInt64, code: UInt64) -> Int? {
        if let codeInstructions = layout.codeInstructions {
            guard let pointer: UInt64 = pages.integer(at: frame &+ UInt64(layout.frameInstruction)) else { return nil }
            // One code unit before the first means "not started".
            let offset = Int64(bitPattern: pointer &- code &- UInt64(codeInstructions))
            return (-2..<1 << 30).contains(offset) ? Int(offset) : nil
        }
        guard let index: Int32 = pages.integer(at: frame &+ UInt64(layout.frameInstruction)), index >= -1 else {
            return nil
        }
        return layout.minor >= 10 ? Int(index) * 2 : Int(index)
    }
}
