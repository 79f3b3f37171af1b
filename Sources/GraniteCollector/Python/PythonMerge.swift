// Defines how the native and the Python frames of one thread become one stack. Pure: no memory is read here.

package import GraniteReport

/// One stack out of two, or both where they do not fit together.
package struct MergedStack: Equatable, Sendable {
    /// Innermost first. Indices are new.
    package var frames: [Frame]
    /// The Python frames, if they are not in `frames`.
    package var unmerged: [Frame]?
    /// Why not, or what is to be known of the merged stack; a sentence.
    package var note: String?
}

/// Native frames (innermost first, with symbols, inlined ones before the frame they are inlined into) and the Python
/// frames of the same thread → one stack. No frame is dropped and each side keeps its order; on any mismatch both sides
/// stay as they are.
///
/// Each C activation of `_PyEval_EvalFrameDefault` runs the Python frames up to and including the next that
/// `endsNativeEval`; they are put on its inner side. `nativeTruncated`: the native walk ended early. `pythonTruncated`:
/// there are more Python frames outside, `isCutInside`: frames are missing between those that are here.
/// `innermostIsLinked`: see ``mergePythonStates(native:states:nativeTruncated:innermostIsLinked:)``.
package func mergePythonFrames(
    native: [Frame], python: [PythonFrame], nativeTruncated: Bool = false, pythonTruncated: Bool = false,
    isCutInside: Bool = false, innermostIsLinked: Bool? = nil
) -> MergedStack {
    let loops = interpreterLoops(native)
    let runs = pythonRuns(python)
    if loops.isEmpty && runs.isEmpty { return MergedStack(frames: native) }
    var plan = MergePlan(
        loops: loops.count, runs: runs.count, startsInLoop: startsInLoop(native, loops),
        endsInRun: python.last.map { !$0.endsNativeEval } ?? false, nativeTruncated: nativeTruncated,
        pythonTruncated: pythonTruncated, innermostIsLinked: innermostIsLinked)
    if isCutInside { plan = .apart("the frames of an inner interpreter could not be read to their end") }
    if case .apart = plan, !pythonTruncated, !isCutInside, endsAtGreenlet(native, loops, runs: runs.count) {
        plan = .merge(
            skippedLoops: 0,
            note:
                "A greenlet runs here: what is outside of it belongs to the greenlet that started it, whose Python frames are not known."
        )
    }
    switch plan {
    case .apart(let why):
        return MergedStack(
            frames: native, unmerged: python.filter { !$0.isShim }.map(pythonFrame),
            note: "Python frames are listed apart: \(why).")
    case .merge(let skippedLoops, let note):
        return MergedStack(frames: merged(native, Array(loops.dropFirst(skippedLoops)), runs), note: note)
    }
}

/// Whether two stacks fit, by the number of native interpreter loops and of runs of Python frames.
private enum MergePlan {
    /// Both sides stay as they are; says why.
    case apart(String)
    /// Run by run into loop by loop, from the inside, after so many innermost loops that run nothing yet.
    case merge(skippedLoops: Int, note: String?)

    init(
        loops: Int, runs: Int, startsInLoop: Bool, endsInRun: Bool, nativeTruncated: Bool, pythonTruncated: Bool,
        innermostIsLinked: Bool?
    ) {
        let counts = "\(count(runs, "run")) of Python frames, but \(count(loops, "native interpreter loop"))"
        if endsInRun && !pythonTruncated {
            self = .apart("the outermost one does not end the interpreter loop that runs it")
        } else if startsInLoop, let innermostIsLinked {
            self = Self.plan(
                loops: loops, runs: runs, skipped: innermostIsLinked ? 0 : 1, nativeTruncated, pythonTruncated, counts)
        } else if startsInLoop && (nativeTruncated || pythonTruncated) {
            // A thread that was interrupted in the loop itself may not have linked its newest frame yet, or have
            // unlinked it already. With both stacks whole the counts tell; with one cut nothing does.
            self = .apart("it cannot be told whether the innermost interpreter loop had linked its frame")
        } else if runs == loops {
            self = .merge(skippedLoops: 0, note: nil)
        } else if startsInLoop && runs + 1 == loops {
            // All loops but the innermost have called something, so their frames are linked: it can be no other.
            self = .merge(
                skippedLoops: 1,
                note: "The innermost interpreter loop was entering or leaving a function and had no Python frame.")
        } else if runs > loops && nativeTruncated {
            self = .merge(
                skippedLoops: 0,
                note: "The native stack ends early: the outermost Python frames have no native frames between them.")
        } else if runs < loops && pythonTruncated {
            self = .merge(
                skippedLoops: 0, note: "The Python frames of the outermost native interpreter loops could not be read.")
        } else {
            self = .apart(counts)
        }
    }
}

extension MergePlan {
    /// Where it is known how many of the innermost loops, none or one, run nothing yet.
    fileprivate static func plan(
        loops: Int, runs: Int, skipped: Int, _ nativeTruncated: Bool, _ pythonTruncated: Bool, _ counts: String
    ) -> MergePlan {
        let entering =
            skipped == 1
            ? "The innermost interpreter loop was entering or leaving a function and had no Python frame." : nil
        let rest: String?
        if runs == loops - skipped {
            rest = nil
        } else if runs > loops - skipped && nativeTruncated {
            rest = "The native stack ends early: the outermost Python frames have no native frames between them."
        } else if runs < loops - skipped && pythonTruncated {
            rest = "The Python frames of the outermost native interpreter loops could not be read."
        } else {
            return .apart(counts)
        }
        let notes = [entering, rest].compactMap { $0 }
        return .merge(skippedLoops: skipped, note: notes.isEmpty ? nil : notes.joined(separator: " "))
    }
}

/// Whether the Python frames end where a greenlet was started. Such a stack stands on what the starting greenlet had on
/// it, but its chain of Python frames is its own (greenlet's g_initialstub).
private func endsAtGreenlet(_ native: [Frame], _ loops: [Int], runs: Int) -> Bool {
    guard runs > 0, runs < loops.count else { return false }
    return native[loops[runs - 1]..<loops[runs]].contains { $0.module?.contains("/_greenlet.") == true }
}

/// Each run on the inner side of its loop; runs without a loop outside of all.
private func merged(_ native: [Frame], _ loops: [Int], _ runs: [[PythonFrame]]) -> [Frame] {
    let interpreter = Set(loops.compactMap { native[$0].module })
    let insertions = Dictionary(uniqueKeysWithValues: zip(loops, runs))
    var result: [Frame] = []
    for (index, nativeFrame) in native.enumerated() {
        result += insertions[index, default: []].filter { !$0.isShim }.map(pythonFrame)
        var nativeFrame = nativeFrame
        if let module = nativeFrame.module, interpreter.contains(module) { nativeFrame.inApp = false }
        result.append(nativeFrame)
    }
    result += runs.dropFirst(loops.count).joined().filter { !$0.isShim }.map(pythonFrame)
    for index in result.indices { result[index].index = index }
    return result
}

/// The Python frames by the native interpreter loop that runs them.
private func pythonRuns(_ python: [PythonFrame]) -> [[PythonFrame]] {
    var runs: [[PythonFrame]] = []
    var isOpen = false
    for frame in python {
        if isOpen { runs[runs.count - 1].append(frame) } else { runs.append([frame]) }
        isOpen = !frame.endsNativeEval
    }
    return runs
}

/// Indices of the frames that are an interpreter loop: at most one in a frame and what is inlined into it, the
/// outermost.
private func interpreterLoops(_ native: [Frame]) -> [Int] {
    var loops: [Int] = []
    var ofThisFrame: Int?
    for (index, frame) in native.enumerated() {
        if isInterpreterLoop(frame) { ofThisFrame = index }
        guard frame.inlined != true else { continue }
        if let loop = ofThisFrame { loops.append(loop) }
        ofThisFrame = nil
    }
    if let loop = ofThisFrame { loops.append(loop) }
    return loops
}

/// Whether the thread was interrupted in the loop itself, not in something that it called.
private func startsInLoop(_ native: [Frame], _ loops: [Int]) -> Bool {
    guard let first = loops.first else { return false }
    return native[..<first].allSatisfy { $0.inlined == true }
}

/// GCC splits rarely run parts off into `NAME.cold`, and adds `.part.0`, `.constprop.0`, `.lto_priv.0` and the like to
/// other copies.
private func isInterpreterLoop(_ frame: Frame) -> Bool {
    guard frame.kind == .native else { return false }
    return [frame.symbol, frame.rawSymbol].contains { symbol in
        guard let symbol, symbol.hasPrefix("_PyEval_EvalFrameDefault") else { return false }
        let suffix = symbol.dropFirst("_PyEval_EvalFrameDefault".count)
        return !(suffix.first.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false)
    }
}

/// As the report has it.
func pythonFrame(_ python: PythonFrame) -> Frame {
    var frame = Frame(kind: .python)
    frame.symbol = python.name
    frame.language = "Python"
    frame.file = python.file
    frame.line = python.line
    frame.locals = python.locals.flatMap { $0.isEmpty ? nil : $0.map { .init(name: $0.name, value: $0.value) } }
    return frame
}

private func count(_ number: Int, _ noun: String) -> String { number == 1 ? "1 \(noun)" : "\(number) \(noun)s" }
