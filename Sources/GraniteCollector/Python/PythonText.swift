// Defines how the characters of a Python string object become Swift text.

/// Where the characters of a compact `str` lie, and how (PEP 393).
struct PythonText: Equatable, Sendable {
    /// Longer text is cut and ends in an ellipsis.
    static let maxBytes = 4096

    var data: UInt64
    /// Bytes per character: 1, 2 or 4.
    var width: Int
    /// Characters that are read.
    var count: Int
    var isCut: Bool

    /// nil for what is no compact string with a believable length: a subclass, a string of the old API, or garbage.
    init?(object: UInt64, length: UInt64, state: UInt32, layout: PythonLayout) {
        func bit(_ position: Int) -> Bool { state >> UInt32(position) & 1 == 1 }
        let kind = Int(state >> UInt32(layout.textKindBit) & 7)
        guard bit(layout.textCompactBit), kind == 1 || kind == 2 || kind == 4, length < 1 << 40 else { return nil }
        let isASCII = bit(layout.textASCIIBit)
        if isASCII && kind != 1 { return nil }
        data = object &+ UInt64(isASCII ? layout.textASCIIData : layout.textData)
        width = kind
        isCut = length > UInt64(Self.maxBytes / kind)
        count = isCut ? Self.maxBytes / kind : Int(length)
    }

    /// The characters as text; a lone surrogate (os.fsdecode of a name that is not UTF-8) becomes U+FFFD.
    func decode(_ bytes: [UInt8]) -> String {
        var text = String.UnicodeScalarView()
        for start in stride(from: 0, through: bytes.count - width, by: width) {
            var value: UInt32 = 0
            for index in (0..<width).reversed() { value = value << 8 | UInt32(bytes[start + index]) }
            text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
        }
        if isCut { text.append("…") }
        return String(text)
    }
}
