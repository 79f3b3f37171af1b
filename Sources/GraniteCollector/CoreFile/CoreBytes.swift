// Defines how a core dump is read: by pread(2), only where something is asked for, because a core may be larger than memory. Bounded: what
// lies behind the file's end is nil, and everything in it is foreign.

import Glibc

/// An open core dump; closed when the last reference goes.
final class CoreBytes {
    private let descriptor: Int32
    /// Bytes that are there, whatever the core says of itself.
    let size: UInt64

    /// Takes the descriptor over.
    init(descriptor: Int32, size: UInt64) {
        self.descriptor = descriptor
        self.size = size
    }

    deinit { close(descriptor) }

    /// All `count` bytes at an offset, or nil.
    func read(at offset: UInt64, count: Int) -> [UInt8]? {
        guard count >= 0, offset <= size, UInt64(count) <= size - offset, let start = Int(exactly: offset) else {
            return nil
        }
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, start + filled)
                if got < 0 && errno == EINTR { continue }
                guard got > 0 else { return }
                filled += got
            }
        }
        return bytes.count == count ? bytes : nil
    }
}

extension RandomAccessCollection where Element == UInt8, Index == Int {
    /// A little-endian integer, `offset` bytes from the start, or nil where the bytes end.
    func number<T: FixedWidthInteger>(_: T.Type, at offset: Int) -> T? {
        let size = MemoryLayout<T>.size
        guard offset >= 0, count >= size, offset <= count - size else { return nil }
        var value: T = 0
        for index in (0..<size).reversed() {
            value = value << 8 | T(truncatingIfNeeded: self[startIndex + offset + index])
        }
        return value
    }

    /// The text at an offset, up to its first NUL.
    func text(at offset: Int, atMost length: Int) -> String? {
        guard offset >= 0, offset <= count else { return nil }
        let start = startIndex + offset
        let end = Swift.min(endIndex, start + Swift.max(0, length))
        return String(decoding: self[start..<end].prefix { $0 != 0 }, as: UTF8.self)
    }
}
