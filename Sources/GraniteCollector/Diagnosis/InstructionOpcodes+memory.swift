// Says of a decoded x86-64 instruction which memory it reaches beside its named operand, whether it writes, and whether it wants its
// operand aligned. Pure.

extension X86Opcodes {
    static func describe(_ decoder: X86Decoder, _ instruction: inout Instruction) {
        if decoder.map == .primary {
            describePrimary(decoder, &instruction)
        } else if decoder.map == .escape0F {
            describeEscape(decoder, &instruction)
        }
        if instruction.operand == nil { instruction.writes = nil }
    }

    private static func describePrimary(_ decoder: X86Decoder, _ instruction: inout Instruction) {
        let onStack = Instruction.MemoryOperand(base: X86Decoder.stack)
        let pushed = Instruction.MemoryOperand(base: X86Decoder.stack, displacement: -8)
        let source = Instruction.MemoryOperand(base: 4, segment: decoder.segment, is32Bit: decoder.address32)
        let destination = Instruction.MemoryOperand(base: 5, is32Bit: decoder.address32)
        switch decoder.opcode {
        case 0x00, 0x01, 0x08, 0x09, 0x10, 0x11, 0x18, 0x19, 0x20, 0x21, 0x28, 0x29, 0x30, 0x31:
            instruction.writes = true
        case 0x02...0x3f: instruction.writes = false
        case 0x50...0x57, 0x68, 0x6a, 0x9c: instruction.implied = [pushed]
        case 0x58...0x5f, 0x9d, 0xc9: instruction.implied = [decoder.opcode == 0xc9 ? .init(base: 6) : onStack]
        case 0x63, 0x69, 0x6b, 0x84, 0x85, 0x8a, 0x8b, 0x8e: instruction.writes = false
        case 0x86...0x89, 0x8c, 0x8f, 0xc6, 0xc7: instruction.writes = true
        case 0x8d: instruction.reachesMemory = false
        case 0x80, 0x81, 0x83: instruction.writes = decoder.reg & 7 != 7
        case 0xa0, 0xa1: instruction.writes = false
        case 0xa2, 0xa3: instruction.writes = true
        case 0xa4, 0xa5, 0xa6, 0xa7: instruction.implied = [source, destination]
        case 0xaa, 0xab, 0xae, 0xaf, 0x6c, 0x6d: instruction.implied = [destination]
        case 0xac, 0xad, 0x6e, 0x6f: instruction.implied = [source]
        case 0xc2, 0xc3:
            instruction.implied = [onStack]
            instruction.flow = .ret
        case 0xc0, 0xc1, 0xd0...0xd3: instruction.writes = true
        case 0xe8:
            instruction.implied = [pushed]
            instruction.flow = .call
        case 0xe9, 0xeb: instruction.flow = .jump
        case 0xf6, 0xf7:
            instruction.writes = [2, 3].contains(decoder.reg & 7)
            instruction.divides = decoder.reg & 7 >= 6
            instruction.dividesSigned = decoder.reg & 7 == 7
            instruction.operandBytes = decoder.opcode == 0xf6 ? 1 : decoder.isWide ? 8 : decoder.operandSize16 ? 2 : 4
            if instruction.divides, !decoder.isMemory { instruction.divisorRegister = X86Decoder.dwarf[decoder.rm] }
        case 0xfe: instruction.writes = true
        case 0xff: describeGroup5(decoder, pushed, &instruction)
        default: break
        }
    }

    /// inc, dec, call, far call, jmp, far jmp, push.
    private static func describeGroup5(
        _ decoder: X86Decoder, _ pushed: Instruction.MemoryOperand, _ instruction: inout Instruction
    ) {
        switch decoder.reg & 7 {
        case 0, 1: instruction.writes = true
        case 2:
            instruction.flow = .call
            instruction.implied = [pushed]
            instruction.writes = false
        case 4:
            instruction.flow = .jump
            instruction.writes = false
        case 6:
            instruction.implied = [pushed]
            instruction.writes = false
        default: break
        }
        if [2, 4].contains(decoder.reg & 7), !decoder.isMemory {
            instruction.targetRegister = X86Decoder.dwarf[decoder.rm]
        }
    }

    private static func describeEscape(_ decoder: X86Decoder, _ instruction: inout Instruction) {
        let opcode = decoder.opcode
        switch opcode {
        case 0x0d, 0x18...0x1f: instruction.reachesMemory = false
        case 0xa0, 0xa8: instruction.implied = [.init(base: X86Decoder.stack, displacement: -8)]
        case 0xa1, 0xa9: instruction.implied = [.init(base: X86Decoder.stack)]
        case 0x11, 0x13, 0x17, 0x29, 0x2b, 0x7f, 0xd6, 0xe7, 0x90...0x9f, 0xab, 0xb0, 0xb1, 0xb3, 0xbb, 0xc0, 0xc1,
            0xc3, 0xc7:
            instruction.writes = true
        case 0x7e: instruction.writes = decoder.selector != 2
        default: instruction.writes = false
        }
        guard instruction.operand != nil else { return }
        // Moves that say so want their operand aligned, and of the older encoding all that work on whole vectors (SDM volume 1,
        // 14.9): not the scalars, and not the moves that are made for it.
        let isOld = decoder.vector == .none
        let isVector = decoder.selector < 2
        switch opcode {
        case 0x28, 0x29, 0x2b: instruction.alignment = UInt64(decoder.vectorBytes)
        case 0x6f, 0x7f, 0xe7: if decoder.selector == 1 { instruction.alignment = UInt64(decoder.vectorBytes) }
        case 0x14, 0x15, 0x51...0x59, 0x5b...0x5f, 0xc2, 0xc6: if isOld, isVector { instruction.alignment = 16 }
        case 0x60...0x6d, 0x74...0x76, 0xd1...0xd5, 0xd8...0xe5, 0xe8...0xef, 0xf1...0xf6, 0xf8...0xfe:
            if isOld, decoder.selector == 1 { instruction.alignment = 16 }
        default: break
        }
    }
}
