// Defines the reader of a worker's Python stacks: from the address of _PyRuntime to threads with files, names and
// lines.

import CLinux

/// Reads every thread's Python frames out of another process, without that process's help.
///
/// Works on CPython 3.9 to 3.13, release builds for x86_64. Whatever the memory holds, it ends after a bounded number
/// of reads and never shows a frame whose code object was not recognized: a stack is rather cut short, and the snapshot
/// says so.
package struct PythonStackReader: Sendable {
    /// Time for what a report is whole without.
    static let objectNanoseconds: UInt64 = 150_000_000

    private let runtime: UInt64
    private let versionHex: UInt32
    private let crashed: UInt64?
    private let withLocals: Bool

    /// `runtime` is the address of `_PyRuntime`, `versionHex` is `PY_VERSION_HEX`; both as the worker's crash page
    /// tells them. `crashed` is the thread pointer of the thread whose exception is wanted, and `withLocals` says
    /// whether its local variables are, too.
    package init(runtime: UInt64, versionHex: UInt32, crashed: UInt64? = nil, withLocals: Bool = false) {
        self.runtime = runtime
        self.versionHex = versionHex
        self.crashed = crashed
        self.withLocals = withLocals
    }

    /// Any thread may call it; the threads that are read must stand still.
    package func read(from memory: any RemoteMemory) throws(PythonReadError) -> PythonSnapshot {
        let pages = RemotePages(memory)
        let layout = try layout(pages)
        let list = try PythonThreadList(
            runtime: runtime, checksRuntime: layout.minor < 13, layout: layout, pages: pages)
        let walk = PythonFrameWalk(threads: list.threads, layout: layout, pages: pages)
        var reader = PythonCodeReader(layout: layout, pages: pages)
        let codes = reader.read(Set(walk.stacks.flatMap(\.frames).filter { !$0.isShim }.map(\.code)))

        var snapshot = PythonSnapshot()
        snapshot.gilHolder = list.gilHolder
        snapshot.gilLocked = list.gilLocked
        snapshot.collecting = list.collecting
        snapshot.interpreters = list.interpreters
        snapshot.gilRanges = list.gils.sorted().map { MemoryRange(address: $0, length: layout.gilBytes) }
        snapshot.problems = list.problems + walk.problems
        var cutStacks = 0
        for (thread, stack) in zip(list.threads, walk.stacks) {
            let (frames, isWhole) = Self.named(stack.frames, codes)
            if !isWhole { cutStacks += 1 }
            snapshot.threads.append(
                PythonThread(
                    state: thread.state, threadID: thread.threadID, nativeID: thread.nativeID,
                    holdsGIL: thread.holdsGIL, interpreter: thread.interpreter, stackAddress: stack.stackAddress,
                    frames: frames, truncated: stack.truncated || !isWhole))
        }
        pages.deadline = granite_monotonic_ns() &+ Self.objectNanoseconds
        readObjects(into: &snapshot, list, walk, codes, layout, pages)
        if pages.isLate {
            snapshot.problems.append(
                "Names of Python's threads, its exception and its local variables took too long to read; only a part was read."
            )
        }
        if cutStacks > 0 {
            snapshot.problems.append(
                "Python threads with a frame that is no readable function: \(cutStacks); what is outside of it is missing."
            )
        }
        snapshot.isExhausted = pages.isExhausted
        if pages.isExhausted { snapshot.problems.append("Python's frames were too many; only a part was read.") }
        snapshot.roundTrips = pages.roundTrips
        return snapshot
    }

    /// What is read last, because a report is whole without it: names, the exception, variables.
    private func readObjects(
        into snapshot: inout PythonSnapshot, _ list: PythonThreadList, _ walk: PythonFrameWalk,
        _ codes: [UInt64: PythonCode], _ layout: PythonLayout, _ pages: RemotePages
    ) {
        guard let offsets = PythonObjectLayout.known(for: layout) else {
            snapshot.problems.append(
                "This Python was built with structures of its own: the names of threads, exceptions and local variables are missing."
            )
            return
        }
        if let collector = list.collectors.first {
            snapshot.collectedGeneration = PythonCollection.generation(
                interpreter: collector, offsets: offsets, pages: pages)
        }
        let objects = PythonObjects(layout: layout, offsets: offsets, pages: pages)
        var outermost: [Int: UInt64] = [:]
        for (index, stack) in walk.stacks.enumerated() where !stack.truncated {
            guard let frame = stack.frames.last(where: { !$0.isShim }), let code = codes[frame.code],
                code.file.hasSuffix("threading.py"), code.name == "_bootstrap" || code.name == "Thread._bootstrap"
            else { continue }
            outermost[index] = frame.address
        }
        for (index, name) in PythonThreadNames(objects: objects).read(outermost) { snapshot.threads[index].name = name }

        guard let crashed, crashed != 0 else { return }
        for (index, thread) in list.threads.enumerated() where thread.threadID == crashed {
            snapshot.threads[index].exception = PythonExceptionReader(objects: objects).read(state: thread.state)
            guard withLocals else { continue }
            let frames = walk.stacks[index].frames.filter { !$0.isShim && codes[$0.code] != nil }.prefix(
                PythonLocalsReader.maxFrames
            ).map { PythonLocalsReader.Frame(address: $0.address, code: $0.code) }
            let locals = PythonLocalsReader(objects: objects).read(frames)
            let byAddress = Dictionary(zip(frames.map(\.address), locals), uniquingKeysWith: { first, _ in first })
            snapshot.threads[index].frames = Self.named(walk.stacks[index].frames, codes, byAddress).frames
        }
    }

    private func layout(_ pages: RemotePages) throws(PythonReadError) -> PythonLayout {
        guard let row = PythonLayout.known(versionHex: versionHex) else {
            let version = "\(versionHex >> 24).\(versionHex >> 16 & 0xFF).\(versionHex >> 8 & 0xFF)"
            throw PythonReadError(
                .unsupportedVersion, "Python frames of version \(version) cannot be read; releases of 3.9 to 3.13 can.")
        }
        guard row.minor >= 13 else { return row }
        let offsets = PythonLayout.debugOffsets313
        guard let told = pages.bytes(at: runtime, count: offsets.size) else {
            throw PythonReadError(.unreadable, "The memory of Python's runtime could not be read.")
        }
        return try offsets.layout(told: told, versionHex: versionHex, row: row)
    }

    /// The frames with names; false if one was no frame of Python, which ends the stack there.
    private static func named(
        _ frames: [PythonFrameWalk.RawFrame], _ codes: [UInt64: PythonCode], _ locals: [UInt64: [PythonLocal]] = [:]
    ) -> (frames: [PythonFrame], isWhole: Bool) {
        var result: [PythonFrame] = []
        for frame in frames {
            if frame.isShim {
                result.append(.shim)
                continue
            }
            guard let code = codes[frame.code] else { return (result, false) }
            if code.isTrampoline && !frame.endsNativeEval { continue }
            var named = PythonFrame(
                file: code.file, name: code.name, line: line(frame.instruction, code),
                endsNativeEval: frame.endsNativeEval)
            named.locals = locals[frame.address]
            result.append(named)
        }
        return (result, true)
    }

    private static func line(_ instruction: Int?, _ code: PythonCode) -> Int? {
        guard let instruction, let lines = code.lines, instruction < code.instructionBytes ?? .max,
            let line = lines.line(of: instruction), line >= 0
        else { return nil }
        return line
    }
}
