// Defines what each x86-64 opcode is followed by and what memory it reaches (Intel SDM volume 2, appendix A). Tables only. Pure.

enum X86Opcodes {
    struct Shape {
        var hasModRM = false
        /// Bytes that follow whatever the prefixes are.
        var immediate = 0
        /// 2 bytes with prefix 66, else 4.
        var immediateOfOperand = false
        var isDirectAddress = false
    }

    /// nil: no instruction of 64-bit mode.
    static func shape(_ decoder: X86Decoder) -> Shape? {
        switch decoder.map {
        case .primary: primary(decoder.opcode)
        case .escape0F: decoder.vector == .none ? escape(decoder.opcode) : vector(decoder)
        case .escape38, .half5, .half6: Shape(hasModRM: true)
        case .escape3A: Shape(hasModRM: true, immediate: 1)
        }
    }

    private static func primary(_ opcode: UInt8) -> Shape? {
        switch opcode {
        case 0x00...0x3f:
            switch opcode & 7 {
            case 0...3: Shape(hasModRM: true)
            case 4: Shape(immediate: 1)
            case 5: Shape(immediateOfOperand: true)
            default: nil
            }
        case 0x50...0x5f, 0x6c...0x6f, 0x90...0x99, 0x9b...0x9f, 0xa4...0xa7, 0xaa...0xaf, 0xc3, 0xc9, 0xcb, 0xcc, 0xcf,
            0xd7,
            0xec...0xef, 0xf1, 0xf4, 0xf5, 0xf8...0xfd:
            Shape()
        case 0x63, 0x84...0x8f, 0xd0...0xd3, 0xd8...0xdf, 0xf6, 0xf7, 0xfe, 0xff: Shape(hasModRM: true)
        case 0x68, 0xa9: Shape(immediateOfOperand: true)
        case 0x69, 0x81, 0xc7: Shape(hasModRM: true, immediateOfOperand: true)
        case 0x6a, 0x70...0x7f, 0xa8, 0xb0...0xb7, 0xcd, 0xe0...0xe7, 0xeb: Shape(immediate: 1)
        case 0x6b, 0x80, 0x83, 0xc0, 0xc1, 0xc6: Shape(hasModRM: true, immediate: 1)
        case 0xa0...0xa3: Shape(isDirectAddress: true)
        case 0xb8...0xbf: Shape(immediateOfOperand: true)
        case 0xc2, 0xca: Shape(immediate: 2)
        case 0xc8: Shape(immediate: 3)
        case 0xe8, 0xe9: Shape(immediate: 4)
        default: nil
        }
    }

    private static func escape(_ opcode: UInt8) -> Shape? {
        switch opcode {
        case 0x05...0x09, 0x0b, 0x0e, 0x30...0x35, 0x37, 0x77, 0xa0...0xa2, 0xa8...0xaa, 0xc8...0xcf: Shape()
        case 0x04, 0x0a, 0x0c, 0x24...0x27, 0x36, 0x39, 0x3b...0x3f, 0x7a, 0x7b, 0xa6, 0xa7: nil
        case 0x80...0x8f: Shape(immediate: 4)
        case 0x0f, 0x70...0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4...0xc6: Shape(hasModRM: true, immediate: 1)
        default: Shape(hasModRM: true)
        }
    }

    private static func vector(_ decoder: X86Decoder) -> Shape {
        switch decoder.opcode {
        case 0x77 where decoder.vector == .vex: Shape()
        case 0x70...0x73, 0xc2, 0xc4...0xc6: Shape(hasModRM: true, immediate: 1)
        default: Shape(hasModRM: true)
        }
    }

    static func immediateBytes(_ decoder: X86Decoder, _ shape: Shape) -> Int {
        let operand = decoder.operandSize16 && !decoder.isWide ? 2 : 4
        if decoder.map == .primary {
            // Group 3: only its two first are a test with a constant.
            if decoder.opcode == 0xf6, decoder.reg & 7 < 2 { return 1 }
            if decoder.opcode == 0xf7, decoder.reg & 7 < 2 { return operand }
            if 0xb8...0xbf ~= decoder.opcode, decoder.isWide { return 8 }
        }
        return shape.immediateOfOperand ? operand : shape.immediate
    }

    /// Whether the operand may be a register: `lea` and some others have no such form.
    static func allowsRegister(_ decoder: X86Decoder) -> Bool {
        !(decoder.map == .primary && decoder.opcode == 0x8d)
    }

    static func isGather(_ decoder: X86Decoder) -> Bool {
        decoder.map == .escape38 && decoder.vector != .none
            && (0x90...0x93 ~= decoder.opcode || 0xa0...0xa3 ~= decoder.opcode || 0xc6...0xc7 ~= decoder.opcode)
    }

    /// N of EVEX's compressed displacement (SDM volume 2, tables 2-34 and 2-35).
    static func displacementUnit(_ decoder: X86Decoder) -> Int {
        let full = decoder.vectorBytes
        let element = decoder.isWide ? 8 : 4
        let isScalar = decoder.selector >= 2
        if isGather(decoder) { return element }
        let fullOrElement = decoder.broadcasts ? element : full
        switch decoder.map {
        case .half5, .half6:
            let isScalar = isScalar || decoder.map == .half6 && decoder.opcode >= 0x99 && decoder.opcode & 1 == 1
            return isScalar || decoder.broadcasts ? 2 : full
        case .escape0F: return unit0F(decoder, element, isScalar) ?? fullOrElement
        case .escape38: return unit38(decoder, element) ?? fullOrElement
        case .escape3A: return unit3A(decoder, element) ?? fullOrElement
        case .primary: return 1
        }
    }

    private static func unit0F(_ decoder: X86Decoder, _ element: Int, _ isScalar: Bool) -> Int? {
        let full = decoder.vectorBytes
        let scalar = decoder.selector == 3 ? 8 : 4
        switch decoder.opcode {
        case 0x12, 0x16: return decoder.selector < 2 || decoder.selector == 3 && full == 16 ? 8 : full
        case 0x13, 0x17, 0xd6: return 8
        case 0x7e: return decoder.selector == 2 ? 8 : element
        case 0x6e: return element
        case 0x2e, 0x2f: return decoder.selector == 1 ? 8 : 4
        case 0x2a: return isScalar ? element : nil
        case 0x7b: return isScalar ? element : decoder.broadcasts ? element : decoder.isWide ? full : full / 2
        case 0x2c, 0x2d, 0x10, 0x11, 0x51, 0x58, 0x59, 0x5c...0x5f, 0xc2: return isScalar ? scalar : nil
        case 0x78, 0x79:
            return isScalar
                ? scalar : decoder.broadcasts ? element : decoder.selector == 1 && !decoder.isWide ? full / 2 : full
        case 0x5a: return isScalar ? scalar : decoder.broadcasts ? element : decoder.selector == 0 ? full / 2 : full
        case 0x7a, 0xe6:
            let isHalf = !decoder.isWide && (decoder.selector == 2 || decoder.opcode == 0x7a && decoder.selector == 1)
            return decoder.broadcasts ? element : isHalf ? full / 2 : full
        case 0xc4: return 2
        case 0xd1...0xd3, 0xe1, 0xe2, 0xf1...0xf3: return 16
        default: return nil
        }
    }

    private static func unit38(_ decoder: X86Decoder, _ element: Int) -> Int? {
        let full = decoder.vectorBytes
        switch decoder.opcode {
        case 0x18, 0x58: return 4
        case 0x19, 0x59: return 8
        case 0x1a, 0x5a: return 16
        case 0x1b, 0x5b: return 32
        case 0x78: return 1
        case 0x79: return 2
        case 0x13: return full / 2
        case 0x10...0x12, 0x20...0x25, 0x30...0x35:
            // 10 to 12 shift, but with F3 they narrow, as the others do; those without it widen.
            if decoder.opcode <= 0x12, decoder.selector != 2 { return nil }
            return switch decoder.opcode & 7 {
            case 0, 3, 5: full / 2
            case 1, 4: full / 4
            default: full / 8
            }
        case 0x88...0x8b, 0x43, 0x4d, 0x4f, 0x2d, 0xcb, 0xcd: return element
        case 0x62, 0x63: return decoder.isWide ? 2 : 1
        case 0x99...0xbf: return decoder.opcode & 15 >= 9 && decoder.opcode & 1 == 1 ? element : nil
        default: return nil
        }
    }

    private static func unit3A(_ decoder: X86Decoder, _ element: Int) -> Int? {
        switch decoder.opcode {
        case 0x14, 0x20: return 1
        case 0x15: return 2
        case 0x16, 0x22, 0x27, 0x51, 0x55, 0x57, 0x67: return element
        case 0x17, 0x21, 0x0a: return 4
        case 0x0b: return 8
        case 0x18, 0x19, 0x38, 0x39: return 16
        case 0x1a, 0x1b, 0x3a, 0x3b: return 32
        case 0x1d: return decoder.vectorBytes / 2
        default: return nil
        }
    }
}
