// Defines the bytes on their way to a client. Separate from the writer, which frames them.

import Glibc

/// Bytes to send: appended at the end, sent from the front, reused from response to response.
struct OutputBuffer: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private var end = 0
    private var sent = 0

    private static let initialCapacity = 4096
    private static let keptCapacity = 256 * 1024

    init() {
        capacity = Self.initialCapacity
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    /// Bytes not sent yet.
    var count: Int { end - sent }

    var unsent: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + sent, count: end - sent) }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        memcpy(base + end, source, bytes.count)
        end += bytes.count
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// A whole header line, with one look at the capacity.
    @inline(__always)
    mutating func append(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        reserve(name.count + value.count + 4)
        if let source = name.baseAddress { memcpy(base + end, source, name.count) }
        end += name.count
        base[end] = 0x3a
        base[end + 1] = 0x20
        end += 2
        if let source = value.baseAddress { memcpy(base + end, source, value.count) }
        end += value.count
        base[end] = 0x0d
        base[end + 1] = 0x0a
        end += 2
    }

    mutating func append(decimal value: Int) {
        reserve(20)
        var divisor = 1
        while value / divisor > 9 { divisor *= 10 }
        var rest = value
        while divisor > 0 {
            base[end] = UInt8(truncatingIfNeeded: 0x30 + rest / divisor)
            end += 1
            rest %= divisor
            divisor /= 10
        }
    }

    mutating func append(hexadecimal value: Int) {
        reserve(16)
        var shift = 0
        while shift < 60 && value >> (shift + 4) != 0 { shift += 4 }
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: (value >> shift) & 15)
            base[end] = digit < 10 ? 0x30 + digit : 0x57 + digit
            end += 1
            shift -= 4
        }
    }

    /// Forgets all but the first `unsent` bytes that were not sent yet.
    mutating func truncate(toUnsent unsent: Int) {
        precondition(unsent <= count)
        end = sent + unsent
    }

    /// The first `bytes` were sent.
    mutating func consume(_ bytes: Int) {
        precondition(bytes >= 0 && bytes <= count)
        sent += bytes
        if sent < end { return }
        sent = 0
        end = 0
        if capacity > Self.keptCapacity { resize(to: Self.initialCapacity) }
    }

    private mutating func reserve(_ bytes: Int) {
        if capacity - end >= bytes { return }
        if sent > 0 {
            memmove(base, base + sent, count)
            end -= sent
            sent = 0
            if capacity - end >= bytes { return }
        }
        resize(to: max(capacity * 2, end + bytes))
    }

    private mutating func resize(to newCapacity: Int) {
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
        memcpy(moved, base, end)
        base.deallocate()
        base = moved
        capacity = newCapacity
    }
}
