// Defines the buffer that a connection reads into. Separate from the parser, which only looks at it.

import Glibc

/// Bytes as they came, from the first of the request being read; grows on demand, and is reused from request to
/// request.
struct InputBuffer: ~Copyable {
    private(set) var base: UnsafeMutablePointer<UInt8>
    private(set) var capacity: Int
    /// Bytes filled, from `base`.
    private(set) var count = 0

    static let initialCapacity = 8192
    /// Between requests a buffer larger than this is given back: few requests are so large, but all connections stay
    /// open.
    static let keptCapacity = 64 * 1024

    init() {
        capacity = Self.initialCapacity
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    var room: Int { capacity - count }
    var end: UnsafeMutablePointer<UInt8> { base + count }

    /// Makes room for at least `bytes` more.
    mutating func reserve(_ bytes: Int) {
        if room < bytes { resize(to: max(capacity * 2, count + bytes)) }
    }

    /// `bytes` more were written at ``end``.
    mutating func filled(_ bytes: Int) {
        precondition(bytes >= 0 && bytes <= room)
        count += bytes
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        if let source = bytes.baseAddress { memcpy(end, source, bytes.count) }
        count += bytes.count
    }

    /// Closes a gap: moves what starts at `from` down to `to`.
    mutating func close(gapFrom to: Int, to from: Int) {
        precondition(to >= 0 && to <= from && from <= count)
        if to == from { return }
        memmove(base + to, base + from, count - from)
        count -= from - to
    }

    /// Forgets the first `bytes`; what follows is the next request.
    mutating func consume(_ bytes: Int) {
        if bytes == count { count = 0 } else { close(gapFrom: 0, to: bytes) }
        if capacity > Self.keptCapacity && count <= Self.initialCapacity { resize(to: Self.initialCapacity) }
    }

    private mutating func resize(to newCapacity: Int) {
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        memcpy(moved, base, count)
        base.deallocate()
        base = moved
        capacity = newCapacity
    }
}
