// Defines which of Python's thread states run on which native thread. Pure. It is a question of its own because a thread
// may run several interpreters, one within the other, and because up to 3.12 a state may name another thread than its own.

/// The states of each captured thread. Pure; any thread may make one.
package struct PythonMatching: Equatable, Sendable {
    /// By tid; the innermost state first.
    package private(set) var states: [Int: [PythonThread]] = [:]
    /// States with frames that belong to no thread that was captured.
    package private(set) var unmatched: [PythonThread] = []

    /// The stack decides: a state whose innermost interpreter loop keeps something on a thread's stack runs there. States
    /// that tell no such address (3.9, or without frames) are believed which thread they name.
    package init(python: [PythonThread], threads: [RawThread], map: MemoryMap) {
        let stacks = threads.map { Self.stack(of: $0, map) }
        var byPointer: [UInt64: Int] = [:]
        for (index, thread) in threads.enumerated() where thread.fsBase != 0 && byPointer[thread.fsBase] == nil {
            byPointer[thread.fsBase] = index
        }
        var byTid: [Int: Int] = [:]
        for (index, thread) in threads.enumerated() where byTid[thread.tid] == nil { byTid[thread.tid] = index }
        for state in python {
            var owner: Int?
            if let address = state.stackAddress {
                owner = stacks.firstIndex { $0?.contains(address) == true }
            }
            owner =
                owner ?? byPointer[state.threadID] ?? state.nativeID.flatMap { Int(exactly: $0) }.flatMap { byTid[$0] }
            if let owner {
                states[threads[owner].tid, default: []].append(state)
            } else if state.frames.contains(where: { !$0.isShim }) {
                unmatched.append(state)
            }
        }
        states = states.mapValues(Self.innermostFirst)
    }

    /// From the stack pointer to the end of its mapping. A stack pointer in the guard page, or below it, belongs to the
    /// stack above.
    private static func stack(of thread: RawThread, _ map: MemoryMap) -> Range<UInt64>? {
        guard thread.hasRegisters, thread.registers.count > Registers.stackPointer else { return nil }
        let pointer = thread.registers[Registers.stackPointer]
        var mapping = map.mapping(containing: pointer)
        if mapping?.isWritable != true { mapping = map.mapping(above: pointer) }
        guard let mapping, mapping.isWritable, pointer < mapping.end else { return nil }
        return pointer..<mapping.end
    }

    /// Stacks grow downwards; without addresses the newer interpreter is taken for the inner one. States that run nothing
    /// come last.
    private static func innermostFirst(_ states: [PythonThread]) -> [PythonThread] {
        guard states.count > 1 else { return states }
        return states.sorted { left, right in
            if left.frames.isEmpty != right.frames.isEmpty { return right.frames.isEmpty }
            if let inner = left.stackAddress, let outer = right.stackAddress { return inner < outer }
            return left.interpreter > right.interpreter
        }
    }
}
