// The rule for a CPU that was sent where no code is: by a call through a bad pointer, or by a return address that was overwritten. Pure.

import Glibc
import GraniteReport

enum JumpRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal, facts.signalNumber == Int(SIGSEGV), let pc = facts.programCounter else {
            return nil
        }
        if facts.signal?.code == 0x80 { return refusedTarget(facts, pc) }
        let fetch = facts.access == .fetch
        guard
            fetch || facts.signal?.address?.value == pc && facts.map.mapping(containing: pc)?.isExecutable != true
        else { return nil }
        var evidence = ["the instruction pointer itself is \(Wording.hex(pc))"]
        if fetch, facts.errorCode & 4 != 0 {
            evidence.append("the page fault was an instruction fetch (error code \(Wording.hex(facts.errorCode)))")
        }
        // `ret` leaves what it took right below the stack pointer; a call leaves its return address at it.
        let returned = facts.belowStackTop == pc && !isCode(facts.stackTop, facts.map)
        let caller = facts.frames.dropFirst().first { $0.kind == .native }?.symbol.map(Wording.bare)
        let by = returned ? "A function returned to" : caller.map { "\($0) called" } ?? "The program jumped to"
        if returned {
            evidence.append("the word below the stack pointer is that address: a return took it from the stack")
        }
        evidence += PointerHints.look(pc)
        guard let mapping = facts.map.mapping(containing: pc) else {
            if pc < MemoryFaultRule.nullRegion, !returned {
                return Verdict(
                    .nullDereference, .certain, evidence,
                    MemoryFaultRule.sentence("\(by) address \(Wording.hex(pc)): a null function pointer", facts))
            }
            evidence.append("no mapping holds it")
            let why = returned ? "its return address was overwritten" : "where nothing is mapped"
            return Verdict(
                .invalidAddress, .certain, evidence,
                MemoryFaultRule.sentence("\(by) address \(Wording.hex(pc))\(returned ? ": " : ", ")\(why)", facts))
        }
        let place = mapping.path.isEmpty ? "anonymous memory" : mapping.path
        evidence.append("it lies in \(place), which is \(mapping.protection): not executable")
        return Verdict(
            .executeNonExecutable, .certain, evidence,
            MemoryFaultRule.sentence(
                "\(by) address \(Wording.hex(pc)) as \(returned ? "code" : "a function"), but that is data (\(place))",
                facts))
    }

    /// The CPU refuses a target that is no canonical address before it goes there: the instruction is still the call or the return.
    private static func refusedTarget(_ facts: CrashFacts, _ pc: UInt64) -> Verdict? {
        let isLost = FaultingOperand.isNonCanonical(pc)
        guard isLost || facts.instruction != nil else { return nil }
        let function = Wording.function(facts.frames) ?? "The program"
        var evidence = ["the CPU raised a general protection fault: si_code is SI_KERNEL and si_addr is 0"]
        if facts.instruction?.flow == .ret || isLost && facts.belowStackTop == pc,
            let target = isLost ? pc : facts.stackTop,
            FaultingOperand.isNonCanonical(target)
        {
            evidence.append("ret took \(Wording.hex(target)) from the stack, which is not a canonical address")
            evidence += PointerHints.look(target)
            let text = PointerHints.spelled(target).map { " by a text (\"\($0)\")" } ?? ""
            return Verdict(
                .nonCanonicalAddress, .certain, evidence,
                MemoryFaultRule.sentence(
                    "\(isLost ? "A function" : function) returned to \(Wording.hex(target)): its return address was overwritten\(text)",
                    facts))
        }
        guard let register = facts.instruction?.targetRegister, register < facts.registers.count,
            FaultingOperand.isNonCanonical(facts.registers[register])
        else { return nil }
        let (name, target) = (Registers.names[register], facts.registers[register])
        evidence.append(
            "\(facts.instruction?.text ?? "a call") with \(name) = \(Wording.hex(target)), which is not a canonical address"
        )
        evidence += PointerHints.look(target)
        return Verdict(
            .nonCanonicalAddress, .certain, evidence,
            MemoryFaultRule.sentence(
                "\(function) called a function pointer that is no address at all (\(name) = \(Wording.hex(target))): overwritten or freed memory",
                facts))
    }

    private static func isCode(_ address: UInt64?, _ map: MemoryMap) -> Bool {
        address.flatMap { map.mapping(containing: $0) }?.isExecutable == true
    }
}
