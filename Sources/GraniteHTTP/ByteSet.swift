// Defines sets of ASCII bytes as two machine words, and the sets of the HTTP grammar.
// Separate because parser, target and header checks share them, and a test proves each against the RFC's own wording.

/// A set of bytes; bytes from 0x80 are members if `includesHigh`.
struct ByteSet: Sendable {
    private let low: UInt64
    private let high: UInt64
    private let includesHigh: Bool

    init(low: UInt64, high: UInt64, includesHigh: Bool = false) {
        self.low = low
        self.high = high
        self.includesHigh = includesHigh
    }

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        if byte >= 0x80 { return includesHigh }
        let word = byte < 64 ? low : high
        return (word >> UInt64(byte & 63)) & 1 != 0
    }

    /// RFC 9110 section 5.6.2: tchar.
    @inline(__always) static var token: ByteSet { ByteSet(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe) }
    /// Visible ASCII without `#` (a fragment is never sent, RFC 9110 section 7.1), and bytes from 0x80: browsers and curl send UTF-8 as it is.
    @inline(__always) static var target: ByteSet {
        ByteSet(low: 0xffff_fff6_0000_0000, high: 0x7fff_ffff_ffff_ffff, includesHigh: true)
    }
    /// RFC 3986 reg-name and IP-literal, without the comma: nobody has one in a name, and two Hosts joined have.
    @inline(__always) static var host: ByteSet { ByteSet(low: 0x2fff_6ff2_0000_0000, high: 0x47ff_fffe_afff_fffe) }
    /// RFC 9110 section 5.5: VCHAR, obs-text, SP and HTAB.
    @inline(__always) static var fieldValue: ByteSet {
        ByteSet(low: 0xffff_ffff_0000_0200, high: 0x7fff_ffff_ffff_ffff, includesHigh: true)
    }
}
