// Defines what the header fields say about framing and connection, and when they contradict each other (RFC 9112
// sections 3.2, 6, 9). Separate from the parser of lines: here is where request smuggling is won or lost.

import GraniteExchange

extension RequestHead {
    /// Takes note of a field that matters to the transport.
    @inline(__always)
    mutating func note(_ line: FieldLine, _ bytes: UnsafePointer<UInt8>) -> Rejection? {
        // The length alone excludes nearly all other fields.
        switch line.name.length {
        case 4, 6, 10, 14, 17: return noteKnown(line, bytes)
        default: return nil
        }
    }

    private mutating func noteKnown(_ line: FieldLine, _ bytes: UnsafePointer<UInt8>) -> Rejection? {
        let name = line.name.bytes(in: bytes)
        let value = line.value.bytes(in: bytes)
        if equalIgnoringCase(name, "host") {
            if hostCount > 0 { return .duplicateHost }
            hostCount = 1
            host = line.value
            return Authority.isValid(value) ? nil : .host
        }
        if equalIgnoringCase(name, "content-length") {
            if contentLength != nil { return .duplicateContentLength }
            guard let length = Self.parseLength(value) else { return .contentLength }
            contentLength = length
            return nil
        }
        if equalIgnoringCase(name, "transfer-encoding") {
            if isChunked { return .duplicateEncoding }
            if value.isEmpty { return .emptyEncoding }
            // llhttp, and with it Node.js as a proxy, does not take a tab after the value for white space; so nor do we
            // here.
            let isFollowedByTab = bytes[Int(line.value.offset + line.value.length)] == 0x09
            if !equalIgnoringCase(value, "chunked") || isFollowedByTab { return .encoding }
            isChunked = true
            return nil
        }
        if equalIgnoringCase(name, "connection") {
            noteConnection(value)
            return nil
        }
        if equalIgnoringCase(name, "expect") {
            if !equalIgnoringCase(value, "100-continue") { return .expectation }
            expectsContinue = true
        }
        return nil
    }

    /// Digits alone, without sign, list or leading zero (a reader who takes 010 for octal would disagree about where
    /// the body ends). A number beyond Int is as good as Int.max: it is over any limit.
    private static func parseLength(_ value: UnsafeRawBufferPointer) -> Int? {
        guard let first = value.first, value.count == 1 || first != 0x30 else { return nil }
        var length = 0
        for byte in value {
            let digit = byte &- 0x30
            guard digit <= 9 else { return nil }
            let (product, overflow) = length.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(digit))
            length = overflow || carry || length == .max ? .max : sum
        }
        return length
    }

    private mutating func noteConnection(_ value: UnsafeRawBufferPointer) {
        var i = 0
        while i < value.count {
            var end = i
            while end < value.count && value[end] != 0x2c { end += 1 }
            var from = i
            var to = end
            while from < to && (value[from] == 0x20 || value[from] == 0x09) { from += 1 }
            while to > from && (value[to - 1] == 0x20 || value[to - 1] == 0x09) { to -= 1 }
            let option = UnsafeRawBufferPointer(rebasing: value[from..<to])
            if equalIgnoringCase(option, "close") { connectionClose = true }
            if equalIgnoringCase(option, "keep-alive") { connectionKeepAlive = true }
            i = end + 1
        }
    }

    /// What can be judged only when all fields are known.
    mutating func judge(_ bytes: UnsafePointer<UInt8>) -> Rejection? {
        if hostCount == 0 && minorVersion == 1 { return .missingHost }
        if authority.length > 0 && hostCount > 0 && !sameHost(bytes) { return .hostMismatch }
        if isChunked {
            if contentLength != nil { return .lengthAndEncoding }
            if minorVersion == 0 { return .encodingInOldVersion }
        }
        // RFC 9110 section 10.1.1: HTTP/1.0 clients can't mean it.
        if minorVersion == 0 { expectsContinue = false }
        return nil
    }

    /// RFC 9112 section 3.2.2 lets the target win; a client must send both alike, so a difference is an attempt at
    /// confusion.
    private func sameHost(_ bytes: UnsafePointer<UInt8>) -> Bool {
        let a = authority.bytes(in: bytes)
        let b = host.bytes(in: bytes)
        return a.count == b.count && zip(a, b).allSatisfy { lowercased($0) == lowercased($1) }
    }
}
