// Defines what a report says of Python's threads besides their frames: names, who holds the GIL and who waits for it, the
// exception, and states that belong to no thread. Pure.

import GraniteReport

enum PythonThreadReport {
    /// States without a thread that are told.
    static let maxUnmatched = 64

    /// Fills in what the states of a thread, the innermost first, say of it.
    static func describe(
        _ report: inout ThreadReport, _ thread: RawThread, _ states: [PythonThread], gils: [MemoryRange]
    ) {
        report.holdsGIL = states.contains(where: \.holdsGIL)
        if let name = states.lazy.compactMap(\.name).first, name != report.name {
            report.nativeName = report.name
            report.name = name
        }
        report.exception = states.lazy.compactMap(\.exception).first.map(exception)
        if waitsForGIL(thread, states, gils: gils) { report.state = "waiting for the GIL" }
    }

    /// take_gil() sleeps on a futex within the GIL, whose address futex(2) takes in rdi: certain, whatever names the library has kept.
    private static func waitsForGIL(_ thread: RawThread, _ states: [PythonThread], gils: [MemoryRange]) -> Bool {
        guard !states.isEmpty, !states.contains(where: \.holdsGIL), !thread.isCrashed, thread.hasRegisters,
            thread.registers.count > Registers.firstArgument, thread.registers.count > Registers.programCounter
        else { return false }
        let address = thread.registers[Registers.firstArgument]
        return gils.contains { address >= $0.address && address &- $0.address < UInt64(max(0, $0.length)) }
    }

    private static func exception(_ exception: PythonException) -> ExceptionInfo {
        var info = ExceptionInfo()
        info.type = exception.type
        info.message = exception.message
        info.file = exception.file
        info.line = exception.line
        info.function = exception.function
        info.state = exception.isHandled ? "handled" : "raised"
        return info
    }

    /// Python threads that no captured thread runs: nothing that was read is dropped.
    static func unmatched(_ states: [PythonThread], isFull: Bool) -> [ThreadReport] {
        guard isFull else { return [] }
        return states.prefix(maxUnmatched).map { state in
            var report = ThreadReport(tid: state.nativeID.flatMap { Int(exactly: $0) } ?? 0)
            report.name = state.name
            report.holdsGIL = state.holdsGIL
            report.unmergedPythonFrames = state.frames.filter { !$0.isShim }.map { frame in
                var frame = pythonFrame(frame)
                frame.inApp = InAppRule.isInApp(frame)
                return frame
            }
            report.note =
                "Python frames are listed apart: they name the thread 0x\(String(state.threadID, radix: 16)), which was not captured."
            return report
        }
    }

    /// Python and the kernel must agree on at least one thread, or one of both was misread.
    static func problems(_ matching: PythonMatching, threads: [RawThread], _ python: PythonSnapshot?) -> [String] {
        guard let python, !python.threads.isEmpty, !threads.isEmpty, matching.states.isEmpty else { return [] }
        return ["None of Python's threads is a thread of the process: its structures were not what their version says."]
    }

    /// - Parameter threads: all that were captured, also those that are not reported.
    static func info(_ snapshot: PythonSnapshot, matching: PythonMatching, threads: [RawThread]) -> PythonInfo {
        var info = PythonInfo()
        info.interpreters = snapshot.interpreters > 1 ? snapshot.interpreters : nil
        info.threads = snapshot.threads.count
        info.gilHeld = snapshot.gilLocked
        info.gilHolder = snapshot.gilHolder.flatMap { holder in
            matching.states.first { $0.value.contains { $0.state == holder } }?.key
        }
        let waiters = threads.filter {
            waitsForGIL($0, matching.states[$0.tid] ?? [], gils: snapshot.gilRanges)
        }.map(\.tid)
        info.gilWaiters = waiters.isEmpty ? nil : waiters
        info.collecting = snapshot.collecting
        info.collectedGeneration = snapshot.collecting == true ? snapshot.collectedGeneration : nil
        return info
    }
}
