// Maps header names as sent to environ keys: "user-agent" to the interned str HTTP_USER_AGENT. Separate because it is
// the one cache that clients can fill: it is bounded.

import CPython
import Glibc
import GraniteExchange

/// A cache from header name to environ key. Used with the GIL held only.
final class HeaderNames {
    enum Kind {
        case ordinary
        case contentLength
        case transferEncoding
        case cookie
    }

    struct Entry {
        fileprivate var name: UnsafeMutablePointer<UInt8>
        fileprivate var length: Int
        /// The environ key, interned, owned by the cache.
        var key: Object
        var kind: Kind
    }

    private static let slots = 1024
    private static let maximumEntries = 512
    private static let maximumNameLength = 64
    private let table: UnsafeMutablePointer<Entry?>
    private var count = 0

    init() {
        table = .allocate(capacity: Self.slots)
        table.initialize(repeating: nil, count: Self.slots)
        // Names that browsers and proxies send are there first, so that a client who invents names cannot keep them
        // out.
        for name in Self.common {
            for spelling in [name, name.lowercased()] {
                Array(spelling.utf8).withUnsafeBytes { if find($0) == nil { _ = insert($0) } }
            }
        }
    }

    /// The entry of this name; nil if it is not cached.
    @inline(__always)
    func find(_ name: UnsafeRawBufferPointer) -> Entry? {
        var slot = Self.hash(name)
        while let entry = table[slot] {
            if entry.length == name.count, let start = name.baseAddress, memcmp(entry.name, start, name.count) == 0 {
                return entry
            }
            slot = (slot + 1) & (Self.slots - 1)
        }
        return nil
    }

    /// Adds a name; nil if it is too long, the cache is full, or there is no memory (no Python error is set).
    func insert(_ name: UnsafeRawBufferPointer) -> Entry? {
        guard name.count <= Self.maximumNameLength, count < Self.maximumEntries, var key = Self.makeKey(name) else {
            PyErr_Clear()
            return nil
        }
        PyUnicode_InternInPlace(&key)
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(name.count, 1))
        for index in 0..<name.count { copy[index] = name[index] }
        let entry = Entry(name: copy, length: name.count, key: key, kind: Self.kind(name))
        var slot = Self.hash(name)
        while table[slot] != nil { slot = (slot + 1) & (Self.slots - 1) }
        table[slot] = entry
        count += 1
        return entry
    }

    /// A new environ key: HTTP_ and the name in capitals with `_` for `-`, or CONTENT_TYPE and CONTENT_LENGTH (RFC
    /// 3875).
    static func makeKey(_ name: UnsafeRawBufferPointer) -> Object? {
        let isContent = equalIgnoringCase(name, "content-type") || kind(name) == .contentLength
        let prefix: StaticString = isContent ? "" : "HTTP_"
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: name.count + prefix.utf8CodeUnitCount) { text in
            for index in 0..<prefix.utf8CodeUnitCount { text[index] = CChar(bitPattern: prefix.utf8Start[index]) }
            for (index, byte) in name.enumerated() {
                let capital = byte == UInt8(ascii: "-") ? UInt8(ascii: "_") : byte &- 97 < 26 ? byte - 32 : byte
                text[prefix.utf8CodeUnitCount + index] = CChar(bitPattern: capital)
            }
            return PyUnicode_DecodeLatin1(
                text.baseAddress ?? UnsafeMutablePointer(mutating: emptyCString), text.count, nil)
        }
    }

    static func kind(_ name: UnsafeRawBufferPointer) -> Kind {
        switch name.count {
        case 6: equalIgnoringCase(name, "cookie") ? .cookie : .ordinary
        case 14: equalIgnoringCase(name, "content-length") ? .contentLength : .ordinary
        case 17: equalIgnoringCase(name, "transfer-encoding") ? .transferEncoding : .ordinary
        default: .ordinary
        }
    }

    /// FNV-1a; the table is never more than half full, so probing ends.
    @inline(__always)
    private static func hash(_ name: UnsafeRawBufferPointer) -> Int {
        var hash: UInt32 = 2_166_136_261
        for byte in name { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return Int((hash ^ hash >> 15) & UInt32(slots - 1))
    }

    private static let common = [
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Accept-Charset", "Cache-Control",
        "Connection", "Cookie",
        "Content-Type", "Content-Length", "Content-Encoding", "Authorization", "Referer", "Origin", "Pragma", "DNT",
        "Range", "If-Range",
        "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Expect", "Forwarded",
        "Transfer-Encoding", "Upgrade",
        "Upgrade-Insecure-Requests", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port",
        "X-Forwarded-Proto", "X-Real-IP",
        "X-Request-ID", "X-Requested-With", "X-CSRFToken", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
        "Sec-Fetch-User",
        "Sec-CH-UA", "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform", "Priority", "TE", "Traceparent", "Tracestate",
    ]
}
