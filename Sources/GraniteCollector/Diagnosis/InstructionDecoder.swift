// Decodes one x86-64 instruction as far as its length and its operand in memory (Intel SDM volume 2, chapter 2 and appendix A). Pure.

struct X86Decoder {
    /// x86 numbers registers otherwise than DWARF does (System V psABI, figure 3.36).
    static let dwarf = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15]
    static let stack = 7

    /// Which table an opcode is looked up in.
    enum Map: Sendable { case primary, escape0F, escape38, escape3A, half5, half6 }
    enum Vector: Sendable { case none, vex, evex }

    private let bytes: [UInt8]
    private var position = 0

    var operandSize16 = false
    var address32 = false
    var repeats = false
    var repeatsNot = false
    var locked = false
    var segment: Instruction.MemoryOperand.Segment?
    var rex: UInt8 = 0
    var map = Map.primary
    var vector = Vector.none
    /// VEX.pp or the legacy prefix that selects among vector instructions: 0 none, 1 66, 2 F3, 3 F2.
    var selector = 0
    /// VEX.L and EVEX.L'L: 16, 32 or 64 bytes.
    var vectorBytes = 16
    var broadcasts = false
    var opcode: UInt8 = 0
    /// ModRM, if there is one.
    var modRM: UInt8?
    var immediate: Int64 = 0

    var isWide: Bool { rex & 8 != 0 }
    var reg: Int { Int((modRM ?? 0) >> 3 & 7) | (rex & 4 != 0 ? 8 : 0) }
    var rm: Int { Int((modRM ?? 0) & 7) | (rex & 1 != 0 ? 8 : 0) }
    var isMemory: Bool { modRM.map { $0 < 0xc0 } ?? false }

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func decode(_ bytes: [UInt8]) -> Instruction? {
        var decoder = X86Decoder(bytes)
        return decoder.run()
    }

    private mutating func next() -> UInt8? {
        guard position < bytes.count else { return nil }
        position += 1
        return bytes[position - 1]
    }

    /// Little-endian and signed.
    private mutating func number(_ count: Int) -> Int64? {
        guard count > 0 else { return 0 }
        var value: UInt64 = 0
        for shift in 0..<count {
            guard let byte = next() else { return nil }
            value |= UInt64(byte) << UInt64(shift * 8)
        }
        let unused = UInt64(64 - count * 8)
        return Int64(bitPattern: value << unused) >> Int64(unused)
    }

    private mutating func run() -> Instruction? {
        guard prefixes(), let shape = X86Opcodes.shape(self) else { return nil }
        var instruction = Instruction()
        if shape.hasModRM {
            guard let byte = next() else { return nil }
            modRM = byte
            // The other seven are the prefix of AMD's XOP instructions, which no processor made since 2017 has.
            if map == .primary, opcode == 0x8f, byte & 0x38 != 0 { return nil }
            if isMemory, !(map == .escape0F && vector == .none && 0x20...0x23 ~= opcode) {
                guard let operand = memoryOperand() else { return nil }
                instruction.operand = operand
            } else {
                guard X86Opcodes.allowsRegister(self) else { return nil }
                modRM = byte | 0xc0
            }
        } else if shape.isDirectAddress {
            guard let address = number(address32 ? 4 : 8) else { return nil }
            instruction.operand = .init(displacement: address, segment: segment, is32Bit: address32)
        }
        guard let value = number(X86Opcodes.immediateBytes(self, shape)) else { return nil }
        immediate = value
        instruction.length = position
        X86Opcodes.describe(self, &instruction)
        instruction.text = X86Text.text(self, instruction)
        return instruction
    }

    /// Up to and with the opcode.
    private mutating func prefixes() -> Bool {
        while let byte = next() {
            switch byte {
            case 0x26, 0x2e, 0x36, 0x3e: break  // no meaning in 64-bit mode
            case 0x64: segment = .fs
            case 0x65: segment = .gs
            case 0x66: operandSize16 = true
            case 0x67: address32 = true
            case 0xf0: locked = true
            case 0xf2: (repeats, repeatsNot) = (false, true)
            case 0xf3: (repeats, repeatsNot) = (true, false)
            case 0x40...0x4f:
                // REX counts only right before the opcode.
                rex = byte
                continue
            case 0xc4, 0xc5, 0x62:
                guard rex == 0, !operandSize16, !repeats, !repeatsNot, !locked else { return false }
                return byte == 0x62 ? evex() : vex(byte)
            case 0x0f: return escape()
            default:
                opcode = byte
                selector = repeatsNot ? 3 : repeats ? 2 : operandSize16 ? 1 : 0
                return true
            }
            rex = 0
        }
        return false
    }

    private mutating func escape() -> Bool {
        selector = repeatsNot ? 3 : repeats ? 2 : operandSize16 ? 1 : 0
        map = .escape0F
        guard let byte = next() else { return false }
        opcode = byte
        if byte == 0x38 || byte == 0x3a {
            map = byte == 0x38 ? .escape38 : .escape3A
            guard let byte = next() else { return false }
            opcode = byte
        }
        return true
    }

    private mutating func vex(_ first: UInt8) -> Bool {
        vector = .vex
        guard var byte = next() else { return false }
        var number: UInt8 = 1
        rex = byte & 0x80 == 0 ? 4 : 0
        if first == 0xc4 {
            rex |= (byte & 0x40 == 0 ? 2 : 0) | (byte & 0x20 == 0 ? 1 : 0)
            number = byte & 0x1f
            guard let second = next() else { return false }
            byte = second
            if byte & 0x80 != 0 { rex |= 8 }
        }
        vectorBytes = byte & 4 != 0 ? 32 : 16
        selector = Int(byte & 3)
        return choose(number)
    }

    private mutating func evex() -> Bool {
        vector = .evex
        guard let first = next(), let second = next(), let third = next(), second & 4 != 0, first & 8 == 0 else {
            return false
        }
        rex = (first & 0x80 == 0 ? 4 : 0) | (first & 0x40 == 0 ? 2 : 0) | (first & 0x20 == 0 ? 1 : 0)
        if second & 0x80 != 0 { rex |= 8 }
        selector = Int(second & 3)
        broadcasts = third & 0x10 != 0
        vectorBytes = 16 << Int(min(third >> 5 & 3, 2))
        return choose(first & 7)
    }

    private mutating func choose(_ number: UInt8) -> Bool {
        switch number {
        case 1: map = .escape0F
        case 2: map = .escape38
        case 3: map = .escape3A
        case 5 where vector == .evex: map = .half5
        case 6 where vector == .evex: map = .half6
        default: return false
        }
        guard let byte = next() else { return false }
        opcode = byte
        return true
    }

    /// ModRM, SIB and displacement (SDM volume 2, tables 2-2 and 2-3).
    private mutating func memoryOperand() -> Instruction.MemoryOperand? {
        guard let modRM else { return nil }
        var operand = Instruction.MemoryOperand(segment: segment, is32Bit: address32)
        let mode = modRM >> 6
        var displacementBytes = mode == 1 ? 1 : mode == 2 ? 4 : 0
        if modRM & 7 == 4 {
            guard let sib = next() else { return nil }
            let index = Int(sib >> 3 & 7) | (rex & 2 != 0 ? 8 : 0)
            operand.isGather = X86Opcodes.isGather(self)
            if index != 4 || operand.isGather {
                operand.index = Self.dwarf[index]
                operand.scale = 1 << UInt64(sib >> 6)
            }
            if sib & 7 == 5, mode == 0 {
                displacementBytes = 4
            } else {
                operand.base = Self.dwarf[Int(sib & 7) | (rex & 1 != 0 ? 8 : 0)]
            }
        } else if modRM & 7 == 5, mode == 0 {
            displacementBytes = 4
            operand.isRelative = true
        } else {
            operand.base = Self.dwarf[rm]
        }
        guard let displacement = number(displacementBytes) else { return nil }
        // EVEX counts a displacement of one byte in units of the operand (SDM volume 2, 2.7.5).
        let unit = vector == .evex && displacementBytes == 1 ? X86Opcodes.displacementUnit(self) : 1
        operand.displacement = displacement * Int64(unit)
        return operand
    }
}
