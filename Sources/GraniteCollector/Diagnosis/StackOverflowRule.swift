// The rule for a stack that ran out: the fault lies in the gap below the stack of the thread that faulted, and nowhere else. Pure.

import Glibc
import GraniteReport

enum StackOverflowRule {
    /// How far below the end of the stack a frame's first store may land.
    static let gap: UInt64 = 1 << 20
    /// How near its end the stack pointer must be: less than a large frame.
    static let nearness: UInt64 = 64 << 10

    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal, [Int(SIGSEGV), Int(SIGBUS)].contains(facts.signalNumber),
            let address = facts.signal?.address?.value, let stackPointer = facts.stackPointer,
            let stack = stack(facts, stackPointer),
            address < stack.start, stack.start - address <= gap,
            stackPointer < stack.start || stackPointer - stack.start <= nearness
        else { return nil }
        // The fault and the stack pointer belong together: a push, a call or a store near it.
        let distance = address > stackPointer ? address - stackPointer : stackPointer - address
        guard distance <= gap else { return nil }

        let guardPage = facts.map.mapping(containing: address).map { !$0.isReadable && !$0.isWritable } ?? false
        let size = Wording.size(stack.end - stack.start)
        var evidence = [
            "si_addr \(Wording.hex(address)) is \(stack.start - address) bytes below this thread's stack (\(Wording.hex(stack.start))–\(Wording.hex(stack.end)))",
            "the stack pointer is \(Wording.hex(stackPointer))",
        ]
        if let operand = FaultingOperand.find(facts) { evidence.append(operand.evidence) }
        if guardPage { evidence.append("the address lies in the stack's guard page") }
        let name = facts.threadName.isEmpty ? "thread \(facts.crashedTid)" : "thread \"\(facts.threadName)\""
        guard let cycle = facts.folded else {
            return Verdict(
                .stackOverflow, guardPage ? .certain : .likely, evidence,
                "The stack of \(name) (\(size)) is used up\(Wording.function(facts.frames).map { " in \($0)" } ?? "").")
        }
        let turns = cycle.repeats + 1
        let names = cycleNames(facts, cycle)
        evidence.append("the stack holds \(cycle.atLeast == true ? "at least " : "")\(turns) turns of: \(names)")
        return Verdict(
            .stackOverflow, .certain, evidence,
            "Runaway recursion used up the stack of \(name) (\(size)): \(names), \(cycle.atLeast == true ? "at least " : "")\(turns) turns."
        )
    }

    /// The mapping that the stack pointer is in, or, once it has left it, the next above.
    private static func stack(_ facts: CrashFacts, _ stackPointer: UInt64) -> Mapping? {
        if let mapping = facts.map.mapping(containing: stackPointer), mapping.isWritable { return mapping }
        guard let above = facts.map.mapping(above: stackPointer), above.isWritable, above.start - stackPointer <= gap
        else { return nil }
        return above
    }

    /// `a → b → a`: the functions of one turn in calling order, the application's or Python's if there are such.
    private static func cycleNames(_ facts: CrashFacts, _ cycle: ThreadReport.FoldedCycle) -> String {
        let end = min(facts.frames.count, cycle.start + cycle.length)
        guard cycle.start < end else { return "a cycle" }
        let turn = facts.frames[cycle.start..<end].reversed()
        let python = turn.filter { $0.kind == .python }
        let chosen = python.isEmpty ? Array(turn) : python
        var names: [String] = []
        for frame in chosen {
            let name = frame.kind == .python ? Wording.python(frame) : frame.symbol.map(Wording.bare) ?? "?"
            if names.last != name { names.append(name) }
        }
        if names.count > 4 { names = Array(names.prefix(4)) + ["…"] }
        return names.count == 1 ? "\(names[0]) calls itself" : names.joined(separator: " → ") + " → \(names[0])"
    }
}
