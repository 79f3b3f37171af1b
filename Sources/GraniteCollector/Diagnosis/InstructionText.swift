// Writes the common x86-64 instructions in AT&T syntax, as objdump does. The rest has no text: a wrong name would be worse. Pure.

enum X86Names {
    // In DWARF order, as all registers here.
    static let registers64 = [
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ]
    static let registers32 = [
        "eax", "edx", "ecx", "ebx", "esi", "edi", "ebp", "esp", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
        "r15d",
    ]
    static let registers16 = [
        "ax", "dx", "cx", "bx", "si", "di", "bp", "sp", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w",
    ]
    static let registers8 = [
        "al", "dl", "cl", "bl", "sil", "dil", "bpl", "spl", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b",
        "r15b",
    ]
    /// Without REX the numbers 4 to 7 are the second bytes.
    static let high8 = ["ah", "ch", "dh", "bh"]

    /// `number` as x86 counts, `bytes` 1, 2, 4 or 8.
    static func register(_ number: Int, bytes: Int, hasREX: Bool) -> String {
        let index = X86Decoder.dwarf[number & 15]
        switch bytes {
        case 1: return "%" + (!hasREX && 4...7 ~= number ? high8[number - 4] : registers8[index])
        case 2: return "%" + registers16[index]
        case 4: return "%" + registers32[index]
        default: return "%" + registers64[index]
        }
    }
}

enum X86Text {
    private static let arithmetic = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"]
    private static let shifts = ["rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"]
    private static let conditions = [
        "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
    ]

    static func text(_ decoder: X86Decoder, _ instruction: Instruction) -> String? {
        switch decoder.map {
        case .primary: primary(decoder, instruction)
        case .escape0F: escape(decoder, instruction)
        default: nil
        }
    }

    private static func suffix(_ bytes: Int) -> String { bytes == 1 ? "b" : bytes == 2 ? "w" : bytes == 4 ? "l" : "q" }

    private static func primary(_ decoder: X86Decoder, _ instruction: Instruction) -> String? {
        let opcode = decoder.opcode
        let wide = decoder.isWide ? 8 : decoder.operandSize16 ? 2 : 4
        let bytes = opcode & 1 == 0 ? 1 : wide
        let hasREX = decoder.rex != 0
        let register = X86Names.register(decoder.reg, bytes: bytes, hasREX: hasREX)
        let lock = decoder.locked ? "lock " : ""
        if let operand = instruction.operand?.text, !(0xa0...0xa3 ~= opcode) {
            switch opcode {
            case 0x00...0x3f where opcode & 7 < 4:
                let name = lock + arithmetic[Int(opcode >> 3)]
                return opcode & 2 == 0 ? "\(name) \(register),\(operand)" : "\(name) \(operand),\(register)"
            case 0x63 where wide != 2:
                return
                    "mov\(wide == 8 ? "slq" : "sxd") \(operand),\(X86Names.register(decoder.reg, bytes: wide, hasREX: hasREX))"
            case 0x80, 0x81, 0x83:
                return "\(lock)\(arithmetic[decoder.reg & 7])\(suffix(bytes)) \(constant(decoder, bytes)),\(operand)"
            case 0x84, 0x85: return "test \(register),\(operand)"
            case 0x86, 0x87: return "\(lock)xchg \(register),\(operand)"
            case 0x88, 0x89: return "mov \(register),\(operand)"
            case 0x8a, 0x8b: return "mov \(operand),\(register)"
            case 0xc6, 0xc7:
                return decoder.reg & 7 == 0 ? "mov\(suffix(bytes)) \(constant(decoder, bytes)),\(operand)" : nil
            case 0xd0, 0xd1: return nil
            case 0xd2, 0xd3: return "\(shifts[decoder.reg & 7])\(suffix(bytes)) %cl,\(operand)"
            case 0xf6, 0xf7:
                let name = ["test", "test", "not", "neg", "mul", "imul", "div", "idiv"][decoder.reg & 7]
                let value = decoder.reg & 7 < 2 ? constant(decoder, bytes) + "," : ""
                return "\(lock)\(name)\(suffix(bytes)) \(value)\(operand)"
            case 0xfe, 0xff:
                switch decoder.reg & 7 {
                case 0, 1: return "\(lock)\(decoder.reg & 7 == 0 ? "inc" : "dec")\(suffix(bytes)) \(operand)"
                case 2 where opcode == 0xff: return "call *\(operand)"
                case 4 where opcode == 0xff: return "jmp *\(operand)"
                case 6 where opcode == 0xff && !decoder.operandSize16: return "push \(operand)"
                default: return nil
                }
            default: return nil
            }
        }
        let pointer = X86Names.register(Int(opcode & 7) | (decoder.rex & 1 != 0 ? 8 : 0), bytes: 8, hasREX: true)
        switch opcode {
        case 0x50...0x57 where !decoder.operandSize16: return "push \(pointer)"
        case 0x58...0x5f where !decoder.operandSize16: return "pop \(pointer)"
        case 0xa4...0xa7, 0xaa...0xaf: return string(decoder, bytes)
        case 0xc3: return "ret"
        case 0xc9: return "leave"
        case 0xe8: return "call"
        case 0xf4: return "hlt"
        case 0xf6, 0xf7:
            guard decoder.reg & 7 > 3 else { return nil }
            let name = ["mul", "imul", "div", "idiv"][(decoder.reg & 7) - 4]
            return "\(name) \(X86Names.register(decoder.rm, bytes: bytes, hasREX: hasREX))"
        case 0xff:
            let target = X86Names.register(decoder.rm, bytes: 8, hasREX: true)
            return decoder.reg & 7 == 2 ? "call *\(target)" : decoder.reg & 7 == 4 ? "jmp *\(target)" : nil
        default: return nil
        }
    }

    private static func string(_ decoder: X86Decoder, _ bytes: Int) -> String {
        let from = "(%\(decoder.address32 ? "esi" : "rsi"))"
        let to = "%es:(%\(decoder.address32 ? "edi" : "rdi"))"
        let source = (decoder.segment.map { "%\($0.rawValue):" } ?? "%ds:") + from
        let accumulator = X86Names.register(0, bytes: bytes, hasREX: true)
        let compares = [0xa6, 0xa7, 0xae, 0xaf].contains(decoder.opcode)
        let prefix = decoder.repeatsNot ? "repnz " : decoder.repeats ? compares ? "repz " : "rep " : ""
        switch decoder.opcode {
        case 0xa4, 0xa5: return "\(prefix)movs\(suffix(bytes)) \(source),\(to)"
        case 0xa6, 0xa7: return "\(prefix)cmps\(suffix(bytes)) \(to),\(source)"
        case 0xaa, 0xab: return "\(prefix)stos \(accumulator),\(to)"
        case 0xac, 0xad: return "\(prefix)lods \(source),\(accumulator)"
        default: return "\(prefix)scas \(to),\(accumulator)"
        }
    }

    private static func escape(_ decoder: X86Decoder, _ instruction: Instruction) -> String? {
        let opcode = decoder.opcode
        guard let operand = instruction.operand?.text else { return opcode == 0x0b ? "ud2" : nil }
        let wide = decoder.isWide ? 8 : decoder.operandSize16 ? 2 : 4
        let register = X86Names.register(decoder.reg, bytes: wide, hasREX: true)
        if decoder.vector != .none { return vector(decoder, operand) }
        switch opcode {
        case 0x10, 0x11, 0x28, 0x29, 0x6f, 0x7f: return vector(decoder, operand)
        case 0x40...0x4f: return "cmov\(conditions[Int(opcode & 15)]) \(operand),\(register)"
        case 0x90...0x9f: return "set\(conditions[Int(opcode & 15)]) \(operand)"
        case 0xaf: return "imul \(operand),\(register)"
        case 0xb6, 0xb7, 0xbe, 0xbf:
            return "mov\(opcode < 0xb8 ? "z" : "s")\(opcode & 1 == 0 ? "b" : "w")\(suffix(wide)) \(operand),\(register)"
        case 0xb0, 0xb1, 0xc0, 0xc1:
            let bytes = opcode & 1 == 0 ? 1 : wide
            let name = opcode < 0xb8 ? "cmpxchg" : "xadd"
            return
                "\(decoder.locked ? "lock " : "")\(name) \(X86Names.register(decoder.reg, bytes: bytes, hasREX: decoder.rex != 0)),\(operand)"
        default: return nil
        }
    }

    /// Moves of vectors.
    private static func vector(_ decoder: X86Decoder, _ operand: String) -> String? {
        guard decoder.map == .escape0F, decoder.vector != .evex else { return nil }
        let names: [String?]
        switch decoder.opcode {
        case 0x10, 0x11: names = ["movups", "movupd", "movss", "movsd"]
        case 0x28, 0x29: names = ["movaps", "movapd", nil, nil]
        case 0x6f, 0x7f: names = [nil, "movdqa", "movdqu", nil]
        default: return nil
        }
        guard let name = names[decoder.selector] else { return nil }
        let isScalar = decoder.selector >= 2 && decoder.opcode <= 0x11
        let register = "%\(decoder.vectorBytes == 32 && !isScalar ? "ymm" : "xmm")\(decoder.reg)"
        let stores = [0x11, 0x29, 0x7f].contains(decoder.opcode)
        let prefix = decoder.vector == .vex ? "v" : ""
        return stores ? "\(prefix)\(name) \(register),\(operand)" : "\(prefix)\(name) \(operand),\(register)"
    }

    private static func constant(_ decoder: X86Decoder, _ bytes: Int) -> String {
        let bits = UInt64(bitPattern: decoder.immediate)
        let kept = bytes == 8 ? bits : bits & (1 << UInt64(bytes * 8) &- 1)
        return "$0x" + String(kept, radix: 16)
    }
}
