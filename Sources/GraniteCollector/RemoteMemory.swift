// Defines how the collector reads a worker's memory: a seam, because the same readers work on a live worker (memory socket), on the
// copies in its crash page when it is gone, and on made-up bytes in tests.

/// A range in the reported process. Foreign numbers: nothing says that it is mapped, or that it does not wrap around.
package struct MemoryRange: Hashable, Sendable {
    package var address: UInt64
    /// Bytes.
    package var length: Int

    package init(address: UInt64, length: Int) {
        self.address = address
        self.length = length
    }
}

/// The memory of a process that cannot be trusted to be sane.
package protocol RemoteMemory {
    /// Reads several ranges in one round trip. The answers are in the order of the questions, each the whole range or nil: a range that
    /// is partly mapped, wraps around, is negative, larger than 64 KiB or asked after the deadline is nil. Never traps.
    func read(_ ranges: [MemoryRange]) -> [[UInt8]?]
}

extension RemoteMemory {
    /// One range by itself; prefer the batch, a round trip costs 36–70 µs.
    package func read(at address: UInt64, length: Int) -> [UInt8]? {
        read([MemoryRange(address: address, length: length)]).first ?? nil
    }

    /// The native-endian word at an address.
    package func word(at address: UInt64) -> UInt64? {
        guard let bytes = read(at: address, length: 8), bytes.count == 8 else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
}
