// Rules for faults of the memory management unit: null, non-canonical, read-only, unmapped addresses, truncated files. Pure.

import Glibc
import GraniteReport

enum MemoryFaultRule {
    /// A field of an object at address 0 lies below this: Linux maps nothing under vm.mmap_min_addr, 64 KiB on most systems.
    static let nullRegion: UInt64 = 0x1_0000

    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard let signal = facts.signal, facts.kind == .signal else { return nil }
        switch Int32(truncatingIfNeeded: facts.signalNumber) {
        case SIGSEGV:
            // The kernel gives no address for a general protection fault: SI_KERNEL and 0 (arch/x86/kernel/traps.c).
            if signal.code == 0x80, (signal.address?.value ?? 0) == 0 { return nonCanonical(facts) }
            guard let address = signal.address?.value else { return nil }
            if address < nullRegion { return null(facts, address) }
            return invalid(facts, address, accessRefused: signal.code == 2)
        case SIGBUS:
            guard let address = signal.address?.value else { return nil }
            return bus(facts, address)
        default: return nil
        }
    }

    /// `read`, `wrote to`; `touched` where neither the CPU nor the instruction says.
    static func verb(_ facts: CrashFacts, _ operand: FaultingOperand? = nil) -> String {
        switch facts.access {
        case .read: "read"
        case .write: "wrote to"
        case .fetch: "touched"
        case .unknown: operand?.instruction.writes.map { $0 ? "wrote to" : "read" } ?? "touched"
        }
    }

    private static func null(_ facts: CrashFacts, _ address: UInt64) -> Verdict {
        let function = Wording.function(facts.frames) ?? "The program"
        var evidence = ["si_addr is \(Wording.hex(address)), below 64 KiB, where nothing is ever mapped"]
        evidence += access(facts)
        let operand = FaultingOperand.find(facts)
        if let operand, let pointer = operand.pointer, pointer.value < nullRegion {
            evidence.append(
                "\(operand.evidence): \(pointer.name) is \(pointer.value == 0 ? "the null pointer" : "too small for a pointer")"
            )
        } else {
            evidence += operand.map { [$0.evidence] } ?? registers(facts, near: address)
        }
        let what = address == 0 ? "a null pointer" : "offset \(Wording.hex(address)) from a null pointer"
        return Verdict(
            .nullDereference, .certain, evidence,
            sentence("\(function) \(verb(facts)) address \(Wording.hex(address)): \(what)", facts))
    }

    /// A general protection fault, for which the kernel gives no address: the instruction and its registers do.
    private static func nonCanonical(_ facts: CrashFacts) -> Verdict {
        let function = Wording.function(facts.frames) ?? "The program"
        var evidence = ["the CPU raised a general protection fault: si_code is SI_KERNEL and si_addr is 0"]
        if let operand = FaultingOperand.find(facts) {
            evidence.append(operand.evidence)
            if operand.isMisaligned {
                let size = operand.instruction.alignment
                evidence.append("\(Wording.hex(operand.address)) is not a multiple of \(size)")
                return Verdict(
                    .invalidAddress, .certain, evidence,
                    sentence(
                        "\(function) \(verb(facts, operand)) address \(Wording.hex(operand.address)), which is misaligned: the instruction wants a multiple of \(size)",
                        facts))
            }
            let pointer = operand.pointer?.value ?? operand.address
            evidence.append("\(Wording.hex(operand.address)) is not a canonical address")
            let look = PointerHints.look(pointer)
            evidence += look
            let which = operand.pointer.map { "\($0.name) = \(Wording.hex($0.value))" } ?? Wording.hex(operand.address)
            let from =
                PointerHints.spelled(pointer).map { "a text was written over it (\"\($0)\")" }
                ?? (look.isEmpty ? "overwritten or freed memory" : "freed or unwritten memory")
            return Verdict(
                .nonCanonicalAddress, .certain, evidence,
                sentence("\(function) used a pointer that is no address at all (\(which)): \(from)", facts))
        }
        if let text = facts.instruction?.text, ["hlt"].contains(text) {
            return Verdict(
                .illegalInstruction, .certain, evidence + ["the instruction is \(text)"],
                sentence("\(function) executed \(text), which only the kernel may", facts))
        }
        let suspects = named(facts) { index, value in
            index != Registers.programCounter && FaultingOperand.isNonCanonical(value)
        }
        evidence += suspects.map { "\($0) = \(Wording.hex($1)) is not a canonical address" }
        let pointer = suspects.first.map { " (\($0.0) = \(Wording.hex($0.1)))" } ?? ""
        // Which register the instruction used is not known here.
        return Verdict(
            .nonCanonicalAddress, suspects.count == 1 ? .likely : .possible, evidence,
            sentence(
                "\(function) used a pointer that is no address at all\(pointer): overwritten or freed memory", facts))
    }

    private static func invalid(_ facts: CrashFacts, _ address: UInt64, accessRefused: Bool) -> Verdict {
        let function = Wording.function(facts.frames) ?? "The program"
        let mapping = facts.map.mapping(containing: address)
        let operand = FaultingOperand.find(facts)
        var evidence = access(facts) + (operand.map { [$0.evidence] } ?? registers(facts, near: address))
        if let mapping, accessRefused || !mapping.isReadable {
            let place = mapping.path.isEmpty ? "anonymous memory" : mapping.path
            evidence.append("\(Wording.hex(address)) lies in \(place), which is \(mapping.protection)")
            if mapping.isReadable, !mapping.isWritable, facts.access == .write {
                return Verdict(
                    .writeToReadOnly, .certain, evidence,
                    sentence(
                        "\(function) wrote to address \(Wording.hex(address)), which is read-only (\(place))", facts))
            }
            return Verdict(
                .invalidAddress, .certain, evidence,
                sentence(
                    "\(function) \(verb(facts)) address \(Wording.hex(address)), which may not be accessed (\(place))",
                    facts))
        }
        if let operand, let pointer = operand.pointer, pointer.value == 0, let index = operand.index {
            evidence.append("\(pointer.name) is the null pointer, \(index.name) the index")
            return Verdict(
                .nullDereference, .likely, evidence,
                sentence(
                    "\(function) \(verb(facts)) address \(Wording.hex(address)): element \(index.value) of a null pointer",
                    facts))
        }
        evidence.append("no mapping holds \(Wording.hex(address))")
        let look = (operand?.pointer).map { PointerHints.look($0.value) } ?? PointerHints.look(address)
        let neighbourhood = PointerHints.neighbourhood(address, facts.map)
        evidence += look + (neighbourhood.map { [$0] } ?? [])
        var what = "where nothing is mapped"
        if let text = PointerHints.spelled(operand?.pointer?.value ?? address) {
            what += "; the pointer's bytes spell \"\(text)\""
        } else if !look.isEmpty, let pointer = operand?.pointer {
            what += "; the pointer (\(pointer.name) = \(Wording.hex(pointer.value))) looks freed or unwritten"
        }
        return Verdict(
            .invalidAddress, .certain, evidence,
            sentence("\(function) \(verb(facts)) address \(Wording.hex(address)), \(what)", facts))
    }

    private static func bus(_ facts: CrashFacts, _ address: UInt64) -> Verdict {
        let function = Wording.function(facts.frames) ?? "The program"
        if facts.signal?.code == 1 {
            return Verdict(
                .invalidAddress, .certain,
                ["si_code is BUS_ADRALN", "the alignment check flag (EFLAGS.AC) is set, which few programs ask for"]
                    + (FaultingOperand.find(facts).map { [$0.evidence] } ?? []),
                sentence("\(function) used the misaligned address \(Wording.hex(address))", facts))
        }
        guard let mapping = facts.map.mapping(containing: address), !mapping.path.isEmpty else {
            return Verdict(
                .invalidAddress, .likely, ["si_code is \(facts.signal?.codeName ?? "not known")"],
                sentence(
                    "\(function) \(verb(facts)) address \(Wording.hex(address)), which has no memory behind it", facts))
        }
        let offset = mapping.offset &+ (address &- mapping.start)
        if isMemoryFile(mapping.path) {
            return Verdict(
                .truncatedMapping, .likely,
                [
                    "si_code is \(facts.signal?.codeName ?? "not known")",
                    "\(Wording.hex(address)) is mapped from \(mapping.path) at offset \(offset), where the file has no page",
                ] + (FaultingOperand.find(facts).map { [$0.evidence] } ?? []),
                sentence(
                    "\(function) \(verb(facts)) a page of \(mapping.path) that has no memory behind it: its file system is full, or the file was truncated",
                    facts))
        }
        return Verdict(
            .truncatedMapping, facts.signal?.code == 2 ? .certain : .likely,
            [
                "si_code is \(facts.signal?.codeName ?? "not known")",
                "\(Wording.hex(address)) is mapped from \(mapping.path) at offset \(offset), beyond the end of the file",
            ] + (FaultingOperand.find(facts).map { [$0.evidence] } ?? []),
            sentence(
                "\(function) \(verb(facts)) a page of \(mapping.path) that the file no longer has: it was truncated while mapped",
                facts))
    }

    /// Files of tmpfs(5) and hugetlbfs get their pages when they are touched, and SIGBUS comes as well when there are none left: a
    /// container's /dev/shm has 64 MiB.
    private static func isMemoryFile(_ path: String) -> Bool {
        ["/dev/shm/", "/memfd:", "/SYSV", "/dev/hugepages", "/anon_hugepage"].contains(where: path.hasPrefix)
    }

    private static func access(_ facts: CrashFacts) -> [String] {
        // A conclusion from the instruction, which is told already (InferredTrap).
        if facts.trapNumber == 14, facts.errorCode & 4 == 0 { return [] }
        let word: String
        switch facts.access {
        case .read: word = "a read"
        case .write: word = "a write"
        case .fetch: word = "an instruction fetch"
        case .unknown: return []
        }
        return ["the page fault was \(word) (error code \(Wording.hex(facts.errorCode)))"]
    }

    /// Registers that point at the address or up to a page below it.
    static func registers(_ facts: CrashFacts, near address: UInt64) -> [String] {
        let matching = named(facts) { index, value in
            index != Registers.programCounter && index != Registers.stackPointer && value <= address
                && address - value < 4096
        }
        guard !matching.isEmpty, matching.count <= 4 else { return [] }
        return [matching.map { "\($0) = \(Wording.hex($1))" }.joined(separator: ", ")]
    }

    /// Names and values of the registers that `isWanted` takes, by index in DWARF order and value.
    private static func named(_ facts: CrashFacts, _ isWanted: (Int, UInt64) -> Bool) -> [(String, UInt64)] {
        zip(Registers.names, facts.registers).enumerated().filter { isWanted($0.offset, $0.element.1) }.map(\.element)
    }

    static func sentence(_ text: String, _ facts: CrashFacts) -> String {
        guard let clause = Wording.pythonClause(facts.frames) else { return text + "." }
        return text + (clause.hasPrefix("that") ? " " : ", ") + clause + "."
    }
}
