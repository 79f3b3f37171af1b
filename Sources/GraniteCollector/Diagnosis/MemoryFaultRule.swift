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

    /// `read`, `wrote`, `touched` where the CPU does not say.
    static func verb(_ facts: CrashFacts) -> String {
        switch facts.access {
        case .read: "read"
        case .write: "wrote to"
        case .fetch, .unknown: "touched"
        }
    }

    private static func null(_ facts: CrashFacts, _ address: UInt64) -> Verdict {
        let function = Wording.function(facts.frames) ?? "The program"
        var evidence = ["si_addr is \(Wording.hex(address)), below 64 KiB, where nothing is ever mapped"]
        evidence += access(facts)
        evidence += registers(facts, near: address)
        let what = address == 0 ? "a null pointer" : "offset \(Wording.hex(address)) from a null pointer"
        return Verdict(
            .nullDereference, .certain, evidence,
            sentence("\(function) \(verb(facts)) address \(Wording.hex(address)): \(what)", facts))
    }

    private static func nonCanonical(_ facts: CrashFacts) -> Verdict {
        let suspects = named(facts) { index, value in
            index != Registers.programCounter && value >= Registers.firstNonCanonical && value < Registers.firstKernel
        }
        let function = Wording.function(facts.frames) ?? "The program"
        var evidence = ["the CPU raised a general protection fault: si_code is SI_KERNEL and si_addr is 0"]
        evidence += suspects.map { "\($0) = \(Wording.hex($1)) is not a canonical address" }
        let pointer = suspects.first.map { " (\($0.0) = \(Wording.hex($0.1)))" } ?? ""
        return Verdict(
            .nonCanonicalAddress, suspects.isEmpty ? .likely : .certain, evidence,
            sentence(
                "\(function) used a pointer that is no address at all\(pointer): overwritten or freed memory", facts))
    }

    private static func invalid(_ facts: CrashFacts, _ address: UInt64, accessRefused: Bool) -> Verdict {
        let function = Wording.function(facts.frames) ?? "The program"
        let mapping = facts.map.mapping(containing: address)
        var evidence = access(facts) + registers(facts, near: address)
        if let mapping, accessRefused || !mapping.isReadable {
            let place = mapping.path.isEmpty ? "anonymous memory" : mapping.path
            evidence.append("\(Wording.hex(address)) lies in \(place), which is \(protection(mapping))")
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
        evidence.append("no mapping holds \(Wording.hex(address))")
        return Verdict(
            .invalidAddress, .certain, evidence,
            sentence("\(function) \(verb(facts)) address \(Wording.hex(address)), where nothing is mapped", facts))
    }

    private static func bus(_ facts: CrashFacts, _ address: UInt64) -> Verdict {
        let function = Wording.function(facts.frames) ?? "The program"
        if facts.signal?.code == 1 {
            return Verdict(
                .invalidAddress, .certain, ["si_code is BUS_ADRALN"],
                sentence("\(function) used the misaligned address \(Wording.hex(address))", facts))
        }
        guard let mapping = facts.map.mapping(containing: address), !mapping.path.isEmpty else {
            return Verdict(
                .invalidAddress, .likely, ["si_code is \(facts.signal?.codeName ?? "not known")"],
                sentence(
                    "\(function) \(verb(facts)) address \(Wording.hex(address)), which has no memory behind it", facts))
        }
        let offset = mapping.offset &+ (address &- mapping.start)
        return Verdict(
            .truncatedMapping, facts.signal?.code == 2 ? .certain : .likely,
            [
                "si_code is \(facts.signal?.codeName ?? "not known")",
                "\(Wording.hex(address)) is mapped from \(mapping.path) at offset \(offset), beyond the end of the file",
            ],
            sentence(
                "\(function) \(verb(facts)) a page of \(mapping.path) that the file no longer has: it was truncated while mapped",
                facts))
    }

    private static func protection(_ mapping: Mapping) -> String {
        (mapping.isReadable ? "r" : "-") + (mapping.isWritable ? "w" : "-") + (mapping.isExecutable ? "x" : "-")
    }

    private static func access(_ facts: CrashFacts) -> [String] {
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

/// The CPU was sent where no code is.
enum JumpRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal, facts.signalNumber == Int(SIGSEGV), let pc = facts.programCounter else {
            return nil
        }
        let fetch = facts.access == .fetch
        let address = facts.signal?.address?.value
        guard
            fetch
                || (facts.signal?.code != 0x80 && address == pc
                    && facts.map.mapping(containing: pc)?.isExecutable != true)
        else {
            return nil
        }
        let caller = facts.frames.dropFirst().first { $0.kind == .native }?.symbol.map(Wording.bare)
        let by = caller.map { "\($0) called" } ?? "The program jumped to"
        var evidence = ["the instruction pointer itself is \(Wording.hex(pc))"]
        if fetch {
            evidence.append("the page fault was an instruction fetch (error code \(Wording.hex(facts.errorCode)))")
        }
        guard let mapping = facts.map.mapping(containing: pc) else {
            if pc < MemoryFaultRule.nullRegion {
                return Verdict(
                    .nullDereference, .certain, evidence,
                    MemoryFaultRule.sentence("\(by) address \(Wording.hex(pc)): a null function pointer", facts))
            }
            evidence.append("no mapping holds it")
            return Verdict(
                .invalidAddress, .certain, evidence,
                MemoryFaultRule.sentence("\(by) address \(Wording.hex(pc)), where nothing is mapped", facts))
        }
        let place = mapping.path.isEmpty ? "anonymous memory" : mapping.path
        evidence.append("it lies in \(place), which is not executable")
        return Verdict(
            .executeNonExecutable, .certain, evidence,
            MemoryFaultRule.sentence(
                "\(by) address \(Wording.hex(pc)) as a function, but that is data (\(place))", facts))
    }
}
