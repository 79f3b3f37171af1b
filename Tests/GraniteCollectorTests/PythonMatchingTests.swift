// Which of Python's thread states run on which native thread, and who waits for the GIL, from made-up threads. Separate from the merging
// of frames, which takes the answer for granted.

import GraniteReport
import Testing

@testable import GraniteCollector

/// Which interpreter's frames stand on which thread's stack, and how several of them become one stack.
struct PythonMatchingTests {
    private static let map = MemoryMap(
        text: """
            7f0000000000-7f0000001000 ---p 00000000 00:00 0
            7f0000001000-7f0000801000 rw-p 00000000 00:00 0
            7f0000801000-7f0000802000 ---p 00000000 00:00 0
            7f0000802000-7f0001002000 rw-p 00000000 00:00 0

            """.utf8)

    @Test func theStackDecidesNotTheThreadThatAStateNames() {
        let threads = [thread(1, fsBase: 0x100, sp: 0x7f00_0080_0000), thread(2, fsBase: 0x200, sp: 0x7f00_0100_0000)]
        // As _xxsubinterpreters up to 3.12 makes it: named after thread 1, run by thread 2.
        let main = state(1, names: 0x100, on: 0x7f00_0080_0800, "main")
        let other = state(2, names: 0x100, on: 0x7f00_0100_0800, "other", interpreter: 1)
        let matching = PythonMatching(python: [main, other], threads: threads, map: Self.map)
        #expect(matching.states == [1: [main], 2: [other]])
        #expect(matching.unmatched.isEmpty)
    }

    @Test func interpretersOnOneThreadAreInTheOrderOfItsStack() {
        let outer = state(1, names: 0x100, on: 0x7f00_0080_0a00, "outer")
        let inner = state(2, names: 0x999, on: 0x7f00_0080_0800, "inner", interpreter: 1)
        let idle = PythonThread(
            state: 3, threadID: 0x100, nativeID: nil, holdsGIL: true, interpreter: 2, frames: [], truncated: false)
        let matching = PythonMatching(
            python: [idle, outer, inner], threads: [thread(1, fsBase: 0x100, sp: 0x7f00_0080_0000)], map: Self.map)
        #expect(matching.states == [1: [inner, outer, idle]])
    }

    @Test func aStackPointerInTheGuardPageBelongsToTheStackAbove() {
        let deep = state(1, names: 0x777, on: 0x7f00_0080_2800, "deep")
        let matching = PythonMatching(
            python: [deep], threads: [thread(1, fsBase: 0x100, sp: 0x7f00_0080_1ff0)], map: Self.map)
        #expect(matching.states == [1: [deep]])
    }

    /// At level short they were looked for among the reported threads: the crashed one alone.
    @Test func waitersForTheGILAreFoundAmongAllThatWereCaptured() {
        let crashed = thread(1, fsBase: 0x100, sp: 0x7f00_0080_0000)
        var waiting = thread(2, fsBase: 0x200, sp: 0x7f00_0100_0000)
        waiting.registers[Registers.firstArgument] = 0x5008
        var snapshot = PythonSnapshot()
        snapshot.threads = [state(1, names: 0x200, on: nil, "main")]
        snapshot.gilRanges = [MemoryRange(address: 0x5000, length: 64)]
        let matching = PythonMatching(python: snapshot.threads, threads: [crashed, waiting], map: Self.map)
        #expect(PythonThreadReport.info(snapshot, matching: matching, threads: [crashed, waiting]).gilWaiters == [2])
    }

    @Test func whatBelongsToNoThreadIsKept() {
        let lost = state(1, names: 0x777, on: nil, "lost")
        let byNumber = state(2, names: 0x777, on: 0x6000, "by tid", native: 1)
        let matching = PythonMatching(
            python: [lost, byNumber], threads: [thread(1, fsBase: 0x100, sp: 0x7f00_0080_0000)], map: Self.map)
        #expect(matching.states == [1: [byNumber]])
        #expect(matching.unmatched == [lost])
        let reports = PythonThreadReport.unmatched(matching.unmatched, isFull: true)
        #expect(reports.map { $0.unmergedPythonFrames?.map(\.symbol) } == [["lost"]])
        #expect(reports.first?.note?.contains("0x777") == true)
    }

    @Test func noThreadInCommonIsTold() {
        let thread = thread(1, fsBase: 0x100, sp: 0x7f00_0080_0000)
        var snapshot = PythonSnapshot()
        snapshot.threads = [state(1, names: 0x777, on: nil, "f")]
        let matching = PythonMatching(python: snapshot.threads, threads: [thread], map: Self.map)
        #expect(PythonThreadReport.problems(matching, threads: [thread], snapshot).count == 1)
    }

    @Test func nestedInterpretersBecomeOneStack() {
        let inner = state(2, names: 1, on: 0x10, "inner")
        let outer = state(1, names: 1, on: 0x20, "outer")
        let merged = mergePythonStates(
            native: native(["crash", eval, "run_string", eval, "main"]), states: [inner, outer], nativeTruncated: false)
        #expect(merged.frames.map(\.symbol) == ["crash", "inner", eval, "run_string", "outer", eval, "main"])
        #expect(merged.unmerged == nil && merged.note == nil)
    }

    /// 3.9 has no address that says where a state runs.
    @Test func aStateThatRunsElsewhereIsListedApart() {
        let merged = mergePythonStates(
            native: native(["sleep", eval, "main"]),
            states: [state(2, names: 1, on: nil, "elsewhere"), state(1, names: 1, on: nil, "here")],
            nativeTruncated: false)
        // Either may be the one that runs: nothing else can be told, and nothing is lost.
        #expect(merged.frames.count == 4 && merged.unmerged?.count == 1 && merged.note != nil)
    }

    @Test func anOverflowInTheInterpreterLoopIsPlacedByTheStack() {
        let frames = ["a", "b", "c"].map { PythonFrame(file: "f", name: $0, line: 1, endsNativeEval: true) }
        func merge(_ linked: Bool?) -> MergedStack {
            mergePythonFrames(
                native: native([eval, "call", eval, "call"]), python: frames, nativeTruncated: true,
                pythonTruncated: true, innermostIsLinked: linked)
        }
        #expect(merge(false).frames.map(\.symbol) == [eval, "call", "a", eval, "call", "b", "c"])
        #expect(merge(false).note?.contains("entering") == true && merge(false).note?.contains("ends early") == true)
        #expect(merge(true).frames.map(\.symbol) == ["a", eval, "call", "b", eval, "call", "c"])
        #expect(merge(nil).unmerged?.count == 3)
    }

    @Test func whatALoopLinkedLiesInItsPartOfTheStack() {
        let frames = [
            UnwoundFrame(address: 1, isReturnAddress: false, trust: .context, stackPointer: 0x1000),
            UnwoundFrame(address: 2, isReturnAddress: true, trust: .cfi, stackPointer: 0x1200),
        ]
        #expect(isInnermostLoopLinked(frames, state: state(1, names: 1, on: 0x1100, "f")) == true)
        #expect(isInnermostLoopLinked(frames, state: state(1, names: 1, on: 0x1280, "f")) == false)
        #expect(isInnermostLoopLinked(frames, state: state(1, names: 1, on: nil, "f")) == nil)
        #expect(isInnermostLoopLinked(Array(frames.prefix(1)), state: state(1, names: 1, on: 0x1100, "f")) == nil)
    }

    @Test func aGreenletsFramesEndWhereItWasStarted() {
        var stack = native(["f", eval, "g_switch", eval, "main"])
        stack[2].module = "/v/site-packages/greenlet/_greenlet.cpython-311-x86_64-linux-gnu.so"
        let frame = PythonFrame(file: "f", name: "a", line: 1, endsNativeEval: true)
        let merged = mergePythonFrames(native: stack, python: [frame])
        #expect(merged.frames.map(\.symbol) == ["f", "a", eval, "g_switch", eval, "main"])
        #expect(merged.note?.hasPrefix("A greenlet runs here") == true)
        stack[2].module = "/v/other.so"
        #expect(mergePythonFrames(native: stack, python: [frame]).unmerged?.count == 1)
    }

    @Test func aThreadThatSleepsWithinTheGILWaitsForIt() {
        var waiting = thread(1, fsBase: 0x100, sp: 0x7f00_0080_0000)
        waiting.registers[Registers.firstArgument] = 0x5028
        let gils = [MemoryRange(address: 0x5000, length: 208)]
        func told(_ thread: RawThread, holdsGIL: Bool) -> ThreadReport {
            var report = ThreadReport(tid: 1)
            report.name = "python3"
            report.state = "idle"
            var state = state(1, names: 0x100, on: nil, "f")
            state.holdsGIL = holdsGIL
            state.name = "worker 1"
            PythonThreadReport.describe(&report, thread, [state], gils: gils)
            return report
        }
        #expect(told(waiting, holdsGIL: false).state == "waiting for the GIL")
        #expect(told(waiting, holdsGIL: false).name == "worker 1")
        #expect(told(waiting, holdsGIL: false).nativeName == "python3")
        #expect(told(waiting, holdsGIL: true).state == "idle")
        waiting.registers[Registers.firstArgument] = 0x50d0
        #expect(told(waiting, holdsGIL: false).state == "idle")
    }

    private let eval = "_PyEval_EvalFrameDefault"

    private func thread(_ tid: Int, fsBase: UInt64, sp: UInt64) -> RawThread {
        var registers = [UInt64](repeating: 0, count: Registers.count)
        registers[Registers.stackPointer] = sp
        return RawThread(
            tid: tid, name: "", isCrashed: false, hasRegisters: true, fsBase: fsBase, registers: registers)
    }

    private func state(
        _ state: UInt64, names threadID: UInt64, on stack: UInt64?, _ function: String, interpreter: Int = 0,
        native: UInt64? = nil
    ) -> PythonThread {
        PythonThread(
            state: state, threadID: threadID, nativeID: native, holdsGIL: false, interpreter: interpreter,
            stackAddress: stack, frames: [PythonFrame(file: "f", name: function, line: 1, endsNativeEval: true)],
            truncated: false)
    }

    private func native(_ symbols: [String]) -> [Frame] {
        symbols.map { symbol in
            var frame = Frame(kind: .native)
            frame.symbol = symbol
            return frame
        }
    }
}
