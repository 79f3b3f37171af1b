// Defines sets of ASCII bytes as two machine words, and the sets of the HTTP grammar.
// Separate because what comes in and what goes out is checked by the same sets, and a test proves each against the
// RFC's own wording. Inlinable: the parser looks at every byte.

/// A set of bytes; bytes from 0x80 are members if `includesHigh`.
package struct ByteSet: Sendable {
    @usableFromInline let low: UInt64
    @usableFromInline let high: UInt64
    @usableFromInline let includesHigh: Bool

    @inlinable
    init(low: UInt64, high: UInt64, includesHigh: Bool = false) {
        self.low = low
        self.high = high
        self.includesHigh = includesHigh
    }

    /// Whether the byte is a member.
    @inlinable @inline(__always)
    package func contains(_ byte: UInt8) -> Bool {
        if byte >= 0x80 { return includesHigh }
        let word = byte < 64 ? low : high
        return (word >> UInt64(byte & 63)) & 1 != 0
    }

    /// RFC 9110 section 5.6.2: tchar.
    @inlinable @inline(__always)
    package static var token: ByteSet { ByteSet(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe) }
    /// Visible ASCII without `#` (a fragment is never sent, RFC 9110 section 7.1), and bytes from 0x80: browsers and
    /// curl send UTF-8 as it is.
    @inlinable @inline(__always)
    package static var target: ByteSet {
        ByteSet(low: 0xffff_fff6_0000_0000, high: 0x7fff_ffff_ffff_ffff, includesHigh: true)
    }
    /// RFC 3986 reg-name and IP-literal, without the comma: nobody has one in a name, and two Hosts joined have.
    @inlinable @inline(__always)
    package static var host: ByteSet { ByteSet(low: 0x2fff_6ff2_0000_0000, high: 0x47ff_fffe_afff_fffe) }
    /// RFC 9110 section 5.5: VCHAR, obs-text, SP and HTAB.
    @inlinable @inline(__always)
    package static var fieldValue: ByteSet {
        ByteSet(low: 0xffff_ffff_0000_0200, high: 0x7fff_ffff_ffff_ffff, includesHigh: true)
    }
}

/// Whether two stretches are equal without regard to ASCII case; `text` must be lower case.
@inlinable @inline(__always)
package func equalIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
    guard bytes.count == text.utf8CodeUnitCount else { return false }
    for i in 0..<bytes.count where lowercased(bytes[i]) != text.utf8Start[i] { return false }
    return true
}

/// The byte in lower case, if it is an ASCII letter.
@inlinable @inline(__always)
package func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
