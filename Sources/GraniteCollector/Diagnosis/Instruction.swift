// Defines a machine instruction as far as a diagnosis needs it: its length and what memory it reaches. Separate from the decoder, so
// that a decoder for another processor (the seam for aarch64: `Instruction.decode`) fills the same value. Pure.

/// Registers are in DWARF order, as ``Registers`` has them.
struct Instruction: Equatable, Sendable {
    /// Bytes, 1 to 15.
    var length = 0
    /// The operand in memory that the instruction names. An address that is only computed (`lea`) is one too; see `reachesMemory`.
    var operand: MemoryOperand?
    /// False for `lea`, `nop`, prefetches: they name memory and do not reach it.
    var reachesMemory = true
    /// What is reached without being named: the stack by push, pop, call and ret, rsi and rdi by string instructions.
    var implied: [MemoryOperand] = []
    /// True if the named operand is written and not read; nil if the decoder does not know.
    var writes: Bool?
    /// The operand must lie at a multiple of so many bytes, else the CPU raises a general protection fault; 0: anywhere.
    var alignment: UInt64 = 0
    var flow = Flow.next
    /// A call or jump through this register.
    var targetRegister: Int?
    /// A division, by the operand in memory or this register.
    var divides = false
    /// idiv; div takes its operands for unsigned numbers.
    var dividesSigned = false
    var divisorRegister: Int?
    /// Bytes of a division's operands.
    var operandBytes = 8
    /// In AT&T syntax, for the common instructions; nil for the rest.
    var text: String?

    enum Flow: Sendable { case next, call, jump, ret }

    /// base + index × scale + displacement.
    struct MemoryOperand: Equatable, Sendable {
        var base: Int?
        var index: Int?
        var scale: UInt64 = 1
        var displacement: Int64 = 0
        /// The base is the address of the next instruction.
        var isRelative = false
        /// `%fs` or `%gs`: the address lies in thread-local storage, whose base is not among the registers.
        var segment: Segment?
        /// The index is a vector (gather, scatter): there are many addresses, and none is known here.
        var isGather = false
        /// The sum is cut to 32 bits.
        var is32Bit = false

        enum Segment: String, Sendable { case fs, gs }
    }

    /// The instruction that begins at the first byte, or nil if these bytes are none that is known or are too few. Never traps,
    /// whatever the bytes.
    static func decode(_ bytes: some Collection<UInt8>) -> Instruction? {
        #if arch(x86_64)
        return X86Decoder.decode(Array(bytes.prefix(15)))
        #else
        return nil
        #endif
    }
}

extension Instruction.MemoryOperand {
    /// The address, or nil where it depends on a segment's base or a register that was not captured.
    func address(registers: [UInt64], instruction: UInt64, length: Int) -> UInt64? {
        guard segment == nil, !isGather else { return nil }
        var sum = UInt64(bitPattern: displacement)
        if isRelative { sum = sum &+ instruction &+ UInt64(length) }
        for (register, factor) in [(base, UInt64(1)), (index, scale)] {
            guard let register else { continue }
            guard register < registers.count else { return nil }
            sum = sum &+ registers[register] &* factor
        }
        return is32Bit ? sum & 0xffff_ffff : sum
    }

    /// `0x8(%rax,%rcx,4)`, as AT&T syntax has it.
    var text: String {
        let names = X86Names.registers64
        var text = segment.map { "%\($0.rawValue):" } ?? ""
        let isAlone = base == nil && index == nil && !isRelative
        if displacement != 0 || isAlone {
            let magnitude = String(displacement.magnitude, radix: 16)
            text +=
                displacement < 0 && !isAlone
                ? "-0x\(magnitude)" : "0x\(isAlone ? String(UInt64(bitPattern: displacement), radix: 16) : magnitude)"
        }
        guard !isAlone else { return text }
        text += "("
        func name(_ register: Int) -> String {
            is32Bit ? X86Names.registers32[register] : names[register]
        }
        if isRelative { text += is32Bit ? "%eip" : "%rip" }
        if let base { text += "%\(name(base))" }
        if let index { text += ",%\(name(index)),\(scale)" }
        return text + ")"
    }
}
