// Defines how an instruction of a code object becomes a source line, in the three encodings that CPython 3.9 to 3.13
// use.

/// A code object's line table: foreign bytes, whatever their content a lookup ends after one pass.
struct PythonLineTable: Equatable, Sendable {
    enum Format: Equatable, Sendable {
        /// 3.9, Objects/lnotab_notes.txt: pairs of address and line increments.
        case lnotab
        /// 3.10, PEP 626: pairs of range length and line increment, -128 for no line.
        case linetable
        /// 3.11 and later, Objects/locations.md: entries of a code, a length and what the code says.
        case locations
    }

    var format: Format
    var bytes: [UInt8]
    /// `co_firstlineno`.
    var firstLine: Int

    /// `instruction` is a byte offset into the code; a negative one means that the function has not started.
    func line(of instruction: Int) -> Int? {
        if instruction < 0 { return firstLine }
        switch format {
        case .lnotab: return lnotabLine(instruction)
        case .linetable: return linetableLine(instruction)
        case .locations: return locationsLine(instruction)
        }
    }

    private func lnotabLine(_ instruction: Int) -> Int? {
        var address = 0
        var line = firstLine
        for index in stride(from: 0, to: bytes.count - 1, by: 2) {
            address += Int(bytes[index])
            if address > instruction { break }
            line += Int(Int8(bitPattern: bytes[index + 1]))
        }
        return line
    }

    private func linetableLine(_ instruction: Int) -> Int? {
        var end = 0
        var line = firstLine
        for index in stride(from: 0, to: bytes.count - 1, by: 2) {
            end += Int(bytes[index])
            let increment = Int8(bitPattern: bytes[index + 1])
            if increment != .min { line += Int(increment) }
            if instruction < end { return increment == .min ? nil : line }
        }
        return nil
    }

    private func locationsLine(_ instruction: Int) -> Int? {
        var end = 0
        var line = firstLine
        var index = 0
        while index < bytes.count {
            let first = bytes[index]
            index += 1
            let code = first >> 3 & 15
            end += (Int(first & 7) + 1) * 2  // a code unit has two bytes
            switch code {
            case 10...12: line += Int(code) - 10
            case 13, 14: line &+= signedVarint(at: index)
            default: break  // 0 to 9: the same line; 15: none
            }
            if instruction < end { return code == 15 ? nil : line }
            // Only an entry's first byte has the highest bit.
            while index < bytes.count, bytes[index] < 0x80 { index += 1 }
        }
        return nil
    }

    /// Six bits a byte, lowest first, bit 6 for "more follows", then the sign in the lowest bit.
    private func signedVarint(at start: Int) -> Int {
        var value: UInt32 = 0
        var shift: UInt32 = 0
        for byte in bytes[start...] {
            value |= UInt32(byte & 63) << shift
            shift += 6
            if byte & 64 == 0 || shift >= 32 { break }
        }
        let magnitude = Int(value >> 1)
        return value & 1 == 0 ? magnitude : -magnitude
    }
}
