// Defines the merge of a native stack with all that Python runs on it: one state mostly, several where an interpreter was
// started within another. Pure.

package import GraniteReport

/// `states`: of one thread, the innermost first (``PythonMatching``). `innermostIsLinked`: whether a thread that was
/// interrupted in an interpreter loop itself had linked that loop's frame; nil if it is not known.
package func mergePythonStates(
    native: [Frame], states: [PythonThread], nativeTruncated: Bool, innermostIsLinked: Bool? = nil
) -> MergedStack {
    let running = states.filter { !$0.frames.isEmpty }
    func merge(_ states: [PythonThread]) -> MergedStack {
        mergePythonFrames(
            native: native, python: states.flatMap(\.frames), nativeTruncated: nativeTruncated,
            // Behind the frames that are missing in the middle nothing could be placed.
            pythonTruncated: states.last?.truncated ?? false,
            isCutInside: states.dropLast().contains(where: \.truncated),
            innermostIsLinked: innermostIsLinked)
    }
    let all = merge(running)
    guard all.unmerged != nil, running.count > 1 else { return all }
    // 3.9 cannot tell which of the states that name a thread run on it.
    for state in running {
        var one = merge([state])
        guard one.unmerged == nil else { continue }
        let others = running.filter { $0.state != state.state }.flatMap(\.frames).filter { !$0.isShim }
        one.unmerged = others.map(pythonFrame)
        one.note = "Frames of other interpreters that name this thread are listed apart: they do not run on it."
        return one
    }
    return all
}

/// Whether the interpreter loop in which a thread was interrupted had linked its frame: what a loop links lies in its own
/// part of the stack.
func isInnermostLoopLinked(_ frames: [UnwoundFrame], state: PythonThread?) -> Bool? {
    guard frames.count > 1, let address = state?.stackAddress, frames[1].stackPointer > 0 else { return nil }
    return address < frames[1].stackPointer
}
