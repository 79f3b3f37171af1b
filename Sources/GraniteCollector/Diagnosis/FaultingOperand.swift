// Finds which pointer of the interrupted instruction was bad, and how it came to its address. Separate from the rules, which all ask it.
// Pure.

import GraniteReport

/// The operand that made the CPU fault, with the registers that its address was made of.
struct FaultingOperand: Equatable, Sendable {
    var instruction: Instruction
    var operand: Instruction.MemoryOperand
    /// What base, index and displacement add up to.
    var address: UInt64
    /// The base register's value, or the index register's if there is no base.
    var pointer: Register?
    var index: Register?

    struct Register: Equatable, Sendable {
        var name: String
        var value: UInt64
    }

    /// An operand of 64 bytes may begin in a good page and end in a bad one.
    static let widest: UInt64 = 64

    /// The operand of `facts`' instruction that lies at the address the kernel gave, or without one the operand that is no address.
    static func find(_ facts: CrashFacts) -> FaultingOperand? {
        guard let pc = facts.programCounter, facts.access != .fetch, let instruction = facts.instruction else {
            return nil
        }
        let named = instruction.reachesMemory ? instruction.operand.map { [$0] } ?? [] : []
        let isPageFault = facts.trapNumber == 14
        let target = facts.signal?.address?.value
        for operand in named + instruction.implied {
            guard
                let address = operand.address(registers: facts.registers, instruction: pc, length: instruction.length)
            else { continue }
            if isPageFault {
                guard let target, target >= address, target - address < widest else { continue }
            } else {
                let isBad = isNonCanonical(address) || instruction.alignment > 1 && address % instruction.alignment != 0
                guard isBad else { continue }
            }
            return FaultingOperand(instruction, operand, address, facts.registers)
        }
        return nil
    }

    static func isNonCanonical(_ address: UInt64) -> Bool {
        address >= Registers.firstNonCanonical && address < Registers.firstKernel
    }

    private init(
        _ instruction: Instruction, _ operand: Instruction.MemoryOperand, _ address: UInt64, _ registers: [UInt64]
    ) {
        self.instruction = instruction
        self.operand = operand
        self.address = address
        func register(_ number: Int?) -> Register? {
            guard let number, number < registers.count, number < Registers.names.count else { return nil }
            return Register(name: Registers.names[number], value: registers[number])
        }
        pointer = register(operand.base)
        index = register(operand.index)
        if pointer == nil { (pointer, index) = (index, nil) }
    }

    var isMisaligned: Bool {
        instruction.alignment > 1 && address % instruction.alignment != 0 && !Self.isNonCanonical(address)
    }

    /// `mov 0x8(%rax),%rcx with rax = 0x0`: the instruction, and what it was given.
    var evidence: String {
        var given: [String] = []
        for register in [pointer, index].compactMap({ $0 })
        where !given.contains(where: { $0.hasPrefix(register.name) }) {
            given.append("\(register.name) = \(Wording.hex(register.value))")
        }
        let what = instruction.text ?? "an instruction that uses \(operand.text)"
        return "\(what)\(given.isEmpty ? "" : " with \(given.joined(separator: ", "))")"
    }
}
