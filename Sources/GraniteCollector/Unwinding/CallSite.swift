// Decodes the call instruction that a return address must follow: what makes a word on a stack believable where nothing else says that
// it is a return address. Pure.

/// The call before a return address.
enum CallSite: Equatable {
    /// A call to this address.
    case direct(UInt64)
    /// A call through a register or memory.
    case indirect

    /// Bytes before a return address that are needed.
    static let bytesBefore = 8

    /// - Parameters:
    ///   - code: up to ``bytesBefore`` bytes that end where `returnAddress` begins.
    ///   - returnAddress: the address behind the call.
    /// - Returns: nil if no call ends there.
    init?(code: [UInt8], returnAddress: UInt64) {
        #if arch(x86_64)
        let count = code.count
        func byte(_ back: Int) -> UInt8? { back <= count ? code[count - back] : nil }
        // CALL rel32 (Intel SDM volume 2, CALL).
        if byte(5) == 0xe8 {
            var distance: UInt32 = 0
            for back in (1...4).reversed() { distance |= UInt32(byte(back) ?? 0) << UInt32(8 * (4 - back)) }
            self = .direct(returnAddress &+ UInt64(bitPattern: Int64(Int32(bitPattern: distance))))
            return
        }
        // CALL r/m64: FF /2, with the lengths that ModRM, SIB and displacement can have.
        for length in 2...7 {
            guard byte(length) == 0xff, let modRM = byte(length - 1), modRM >> 3 & 7 == 2 else { continue }
            if Self.length(modRM: modRM, sib: length > 2 ? byte(length - 2) : nil) == length {
                self = .indirect
                return
            }
        }
        return nil
        #elseif arch(arm64)
        guard code.count >= 4 else { return nil }
        let word = code.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        if word & 0xfc00_0000 == 0x9400_0000 {  // BL imm26
            let offset = Int64(Int32(bitPattern: word << 6) >> 6) &* 4
            self = .direct(returnAddress &- 4 &+ UInt64(bitPattern: offset))
        } else if word & 0xffff_fc1f == 0xd63f_0000 {  // BLR Xn
            self = .indirect
        } else {
            return nil
        }
        #endif
    }

    #if arch(x86_64)
    /// Bytes of `FF /2` with this ModRM byte (Intel SDM volume 2, 2.1.5).
    private static func length(modRM: UInt8, sib: UInt8?) -> Int {
        let (mode, memory) = (modRM >> 6, modRM & 7)
        if mode == 3 { return 2 }
        var length = 2
        if memory == 4 { length += 1 }
        switch mode {
        case 0: length += memory == 5 || (memory == 4 && (sib ?? 0) & 7 == 5) ? 4 : 0
        case 1: length += 1
        default: length += 4
        }
        return length
    }
    #endif

    /// Whether code is a stub that jumps through the global offset table: `[endbr64] [bnd] jmp *GOT(%rip)`.
    static func isStub(code: [UInt8]) -> Bool {
        var rest = code[...]
        if rest.starts(with: [0xf3, 0x0f, 0x1e, 0xfa]) { rest = rest.dropFirst(4) }
        if rest.first == 0xf2 { rest = rest.dropFirst() }
        return rest.starts(with: [0xff, 0x25])
    }
}
