// Defines one header or trailer line, split and checked. Separate because trailers obey the same rules as headers.

import GraniteExchange

/// A field line: name, colon, optional white space, value, optional white space (RFC 9112 section 5).
struct FieldLine {
    enum Result {
        case success(FieldLine)
        case failure(Rejection)
    }

    var name: ByteRange
    var value: ByteRange
    /// `X_Y` would reach a CGI-like environment under the same key as `X-Y`, and could pose as it.
    var hasUnderscore: Bool

    /// - Parameters: the line is `bytes[start..<end]`, its CR LF not among it, and not empty.
    static func parse(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Result {
        var i = start
        var underscore = false
        while i < end && ByteSet.token.contains(bytes[i]) {
            underscore = underscore || bytes[i] == 0x5f
            i += 1
        }
        if i == start && (bytes[i] == 0x20 || bytes[i] == 0x09) { return .failure(.foldedLine) }
        if i == start || i == end || bytes[i] != 0x3a { return .failure(.fieldName) }
        let name = ByteRange(start, i)
        i += 1
        while i < end && isBlank(bytes[i]) { i += 1 }
        var valueEnd = end
        while valueEnd > i && isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
        if !isFieldValue(bytes + i, valueEnd - i) { return .failure(.fieldValue) }
        return .success(FieldLine(name: name, value: ByteRange(i, valueEnd), hasUnderscore: underscore))
    }

    @inline(__always)
    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Sixteen bytes at a time: cookies and user agents are most of what a browser sends.
    @inline(__always)
    private static func isFieldValue(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        var i = 0
        while i + 16 <= count {
            // In bounds by the loop's condition; loadUnaligned needs no alignment.
            let block = UnsafeRawPointer(bytes + i).loadUnaligned(as: SIMD16<UInt8>.self)
            let suspects = (block .< 0x20) .| (block .== 0x7f)
            if any(suspects) && any(suspects .& (block .!= 0x09)) { return false }
            i += 16
        }
        while i < count {
            if !ByteSet.fieldValue.contains(bytes[i]) { return false }
            i += 1
        }
        return true
    }
}
