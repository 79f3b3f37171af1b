// Defines how a request target is split into its forms (RFC 9112 section 3.2). Separate: each form has its own rules.

import GraniteExchange

extension RequestHead {
    /// Splits the target `bytes[start..<end]`; method and version are known.
    mutating func parseTarget(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Rejection? {
        isHEAD = method.length == 4 && equal(bytes + Int(method.offset), "HEAD")
        if method.length == 7 && equal(bytes + Int(method.offset), "CONNECT") { return .connect }
        if bytes[start] == 0x2f {
            split(bytes, start, end)
            return nil
        }
        if bytes[start] == 0x2a && end - start == 1 {
            let isOPTIONS = method.length == 7 && equal(bytes + Int(method.offset), "OPTIONS")
            path = ByteRange(start, start)
            query = ByteRange(end, end)
            return isOPTIONS ? nil : .target
        }
        return parseAbsoluteForm(bytes, start, end)
    }

    /// `http://authority[/path][?query]`; any other scheme is a proxy's business.
    private mutating func parseAbsoluteForm(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> Rejection? {
        var i = start
        if end - start > 7 && equalIgnoringCase(UnsafeRawBufferPointer(start: bytes + start, count: 7), "http://") {
            i += 7
        } else if end - start > 8
            && equalIgnoringCase(UnsafeRawBufferPointer(start: bytes + start, count: 8), "https://")
        {
            i += 8
        } else {
            return .target
        }
        let authorityStart = i
        while i < end && bytes[i] != 0x2f && bytes[i] != 0x3f { i += 1 }
        authority = ByteRange(authorityStart, i)
        if i == authorityStart || !Authority.isValid(authority.bytes(in: bytes)) { return .target }
        pathIsRoot = i == end || bytes[i] == 0x3f
        split(bytes, i, end)
        return nil
    }

    private mutating func split(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) {
        var i = start
        while i < end && bytes[i] != 0x3f { i += 1 }
        path = ByteRange(start, i)
        query = i < end ? ByteRange(i + 1, end) : ByteRange(end, end)
    }
}

/// A host with an optional port, as in Host and in absolute-form targets; without user information (RFC 9110 section
/// 4.2.4).
enum Authority {
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var i = 0
        if bytes.first == 0x5b {
            guard let close = bytes.firstIndex(of: 0x5d), close > 1 else { return false }
            for byte in bytes[1..<close] where !ByteSet.host.contains(byte) || byte == 0x5b { return false }
            i = close + 1
        } else {
            while i < bytes.count && bytes[i] != 0x3a {
                if !ByteSet.host.contains(bytes[i]) || bytes[i] == 0x5b || bytes[i] == 0x5d { return false }
                i += 1
            }
            // A port without a host is no authority.
            if i == 0 && !bytes.isEmpty { return false }
        }
        if i == bytes.count { return true }
        guard bytes[i] == 0x3a, bytes.count - i <= 6 else { return false }
        for byte in bytes[(i + 1)...] where byte &- 0x30 > 9 { return false }
        return true
    }
}
