// Writes any bytes as one valid JSON string (RFC 8259 section 7). It is separate because targets, worker output and names
// come from strangers: whatever they hold, a log line stays one line of valid JSON.

extension [UInt8] {
    /// Appends `bytes` as a quoted JSON string. What is not UTF-8 becomes U+FFFD, one for each broken sequence's first byte.
    package mutating func appendJSONString(_ bytes: UnsafeRawBufferPointer) {
        append(UInt8(ascii: "\""))
        var plainStart = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte >= 0x20 && byte < 0x80 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
                index += 1
                continue
            }
            if byte >= 0x80 {
                let length = utf8SequenceLength(in: bytes, at: index)
                if length > 0 {
                    index += length
                    continue
                }
            }
            append(contentsOf: bytes[plainStart..<index])
            appendEscape(of: byte)
            index += 1
            plainStart = index
        }
        append(contentsOf: bytes[plainStart..<index])
        append(UInt8(ascii: "\""))
    }

    /// Appends `text` as a quoted JSON string.
    package mutating func appendJSONString(_ text: String) {
        var text = text
        text.withUTF8 { appendJSONString(UnsafeRawBufferPointer($0)) }
    }

    private mutating func appendEscape(of byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append(contentsOf: #"\""#.utf8)
        case UInt8(ascii: "\\"): append(contentsOf: #"\\"#.utf8)
        case UInt8(ascii: "\n"): append(contentsOf: #"\n"#.utf8)
        case UInt8(ascii: "\r"): append(contentsOf: #"\r"#.utf8)
        case UInt8(ascii: "\t"): append(contentsOf: #"\t"#.utf8)
        case 0x80...: append(contentsOf: "\u{FFFD}".utf8)
        default:
            append(contentsOf: #"\u00"#.utf8)
            append(hexadecimalDigit(byte >> 4))
            append(hexadecimalDigit(byte & 15))
        }
    }
}

/// The lower-case digit of a value below 16.
package func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + (value & 15) - 10
}

/// The length of the well-formed UTF-8 sequence of two to four bytes at `index`, or 0 if there is none
/// (the Unicode Standard, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
func utf8SequenceLength(in bytes: UnsafeRawBufferPointer, at index: Int) -> Int {
    let first = bytes[index]
    let (length, second): (Int, ClosedRange<UInt8>)
    switch first {
    case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
    default: return 0
    }
    guard bytes.count - index >= length, second.contains(bytes[index + 1]) else { return 0 }
    for offset in 2..<max(2, length) where !(0x80...0xBF).contains(bytes[index + offset]) { return 0 }
    return length
}
