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

/// Native frames (innermost first, with symbols, inlined ones before the frame they are inlined into) and the Python frames of the same
/// thread → one stack. No frame is dropped and each side keeps its order; on any mismatch both sides stay as they are.
///
/// Each C activation of `_PyEval_EvalFrameDefault` runs the Python frames up to and including the next that `endsNativeEval`; they
/// are put on its inner side. `nativeTruncated`: the native walk ended early. `pythonTruncated`: there are more Python frames.
package func mergePythonFrames(
    native: [Frame], python: [PythonFrame], nativeTruncated: Bool = false, pythonTruncated: Bool = false
) -> MergedStack {
    let evals = native.indices.filter { isInterpreterLoop(native[$0]) }
    var runs = pythonRuns(python)
    let visible = python.filter { !$0.isShim }
    let openRun = !python.isEmpty && python.last?.endsNativeEval != true
    if evals.isEmpty && runs.isEmpty { return MergedStack(frames: native) }

    func unmerged(_ why: String) -> MergedStack {
        MergedStack(frames: native, unmerged: visible.map(frame), note: "Python frames are listed apart: \(why).")
    }
    if openRun && !pythonTruncated { return unmerged("the outermost one does not end the interpreter loop that runs it") }
    var note: String?
    var rest: [PythonFrame] = []
    if runs.count > evals.count {
        guard nativeTruncated, !startsInLoop(native, evals) else {
            return unmerged("\(count(runs.count, "run")) of Python frames, but \(count(evals.count, "native interpreter loop"))")
        }
        rest = runs[evals.count...].flatMap { $0 }
        runs.removeLast(runs.count - evals.count)
        note = "The native stack ends early: the outermost Python frames have no native frames between them."
    } else if runs.count < evals.count {
        guard pythonTruncated, !startsInLoop(native, evals) else {
            return unmerged("\(count(runs.count, "run")) of Python frames, but \(count(evals.count, "native interpreter loop"))")
        }
        note = "The Python frames of the outermost native interpreter loops could not be read."
    }

    let interpreter = Set(evals.compactMap { native[$0].module })
    var insertions: [Int: [PythonFrame]] = [:]
    for (eval, run) in zip(evals, runs) { insertions[eval] = run }
    var merged: [Frame] = []
    merged.reserveCapacity(native.count + visible.count)
    for (index, nativeFrame) in native.enumerated() {
        merged += insertions[index, default: []].filter { !$0.isShim }.map(frame)
        var nativeFrame = nativeFrame
        if let module = nativeFrame.module, interpreter.contains(module) { nativeFrame.inApp = false }
        merged.append(nativeFrame)
    }
    merged += rest.filter { !$0.isShim }.map(frame)
    for index in merged.indices { merged[index].index = index }
    return MergedStack(frames: merged, note: note)
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

/// A thread that was interrupted in the loop itself may not have linked its newest frame yet, or have unlinked it already. With both stacks
/// whole the counts tell; with one cut they cannot.
private func startsInLoop(_ native: [Frame], _ evals: [Int]) -> Bool {
    guard let first = evals.first else { return false }
    return native[..<first].allSatisfy { $0.inlined == true }
}

/// GCC splits rarely run parts off into `NAME.cold`, and adds `.part.0`, `.constprop.0`, `.lto_priv.0` and the like to other copies.
private func isInterpreterLoop(_ frame: Frame) -> Bool {
    guard frame.kind == .native else { return false }
    return [frame.symbol, frame.rawSymbol].contains { symbol in
        guard let symbol, symbol.hasPrefix("_PyEval_EvalFrameDefault") else { return false }
        let suffix = symbol.dropFirst("_PyEval_EvalFrameDefault".count)
        return suffix.isEmpty || suffix.hasPrefix(".") || suffix.hasPrefix(" (") || suffix.hasPrefix("@")
    }
}

private func frame(_ python: PythonFrame) -> Frame {
    var frame = Frame(kind: .python)
    frame.symbol = python.name
    frame.language = "Python"
    frame.file = python.file
    frame.line = python.line
    return frame
}

private func count(_ number: Int, _ noun: String) -> String { number == 1 ? "1 \(noun)" : "\(number) \(noun)s" }
