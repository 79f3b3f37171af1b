// Defines the memory that a walk reads: words of stacks, from the crash page first and from the held worker where the page has no copy.
// It is separate from the other memories because it is asked for one word at a time, a million times.

import CLinux
import GraniteCrashChannel

/// The memory of one capture, as its walks see it. Belongs to one thread.
final class WalkedMemory {
    /// Read of one thread's stack beyond what the page holds, at most.
    static let maxLiveBytes = 9 << 20
    /// Time that all walks may take of a held worker. What is deeper then counts as not copied.
    static let liveNanoseconds: UInt64 = 400_000_000
    private static let blockBytes: UInt64 = 64 << 10
    private static let pageBytes: UInt64 = 4096

    private let snapshot: CrashSnapshot?
    private let live: (any RemoteMemory)?
    private let map: MemoryMap
    /// Bytes at `start`, the last that were asked for.
    private var block: ArraySlice<UInt8> = []
    private var start: UInt64 = 0
    private var liveBytes = 0
    private var liveDeadline: UInt64
    /// True if a word was asked for that is mapped, but was not copied and could not be read.
    var missedMemory = false

    /// - Parameters:
    ///   - live: the held worker's memory; nil once it is gone.
    ///   - isTimed: false if nobody waits for the walks.
    init(snapshot: CrashSnapshot?, live: (any RemoteMemory)?, map: MemoryMap, isTimed: Bool = true) {
        self.snapshot = snapshot
        self.live = live
        self.map = map
        liveDeadline = isTimed ? granite_monotonic_ns() &+ Self.liveNanoseconds : .max
    }

    /// What was read of the worker stays readable, and is no longer a matter of time.
    func workerWasLetGo() { liveDeadline = .max }

    func beginThread() {
        liveBytes = 0
    }

    /// The native word at an address, or nil.
    func word(_ address: UInt64) -> UInt64? {
        let offset = address &- start
        if offset < UInt64(block.count), UInt64(block.count) - offset >= 8 {
            return block.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(offset), as: UInt64.self) }
        }
        guard load(address) else {
            missedMemory = missedMemory || map.mapping(containing: address)?.isReadable == true
            return nil
        }
        return block.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: Int(address &- start), as: UInt64.self) }
    }

    /// Bytes of code or data, at most a page; nil unless all are there.
    func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? {
        if let copied = snapshot?.memory(at: address, length: count) { return Array(copied) }
        return live?.read(at: address, length: count)
    }

    /// Makes `block` hold the 8 bytes at `address`.
    private func load(_ address: UInt64) -> Bool {
        if let copied = snapshot?.memory(at: address, atMost: .max), copied.count >= 8 {
            block = copied
            start = address
            return true
        }
        guard let live, liveBytes < Self.maxLiveBytes, granite_monotonic_ns() < liveDeadline,
            let mapping = map.mapping(containing: address),
            mapping.isReadable, mapping.end - address >= 8
        else { return false }
        // The whole block as far as it is mapped, else the page: a stack may be resident only in part.
        for size in [Self.blockBytes, Self.pageBytes] {
            let first = max(mapping.start, address & ~(size - 1))
            let end = first | (size - 1)
            let count = min(end, mapping.end - 1) - first + 1
            // A mapping of a foreign map may begin anywhere, so a page of it may have less than a word.
            guard count >= 8, address - first <= count - 8, let bytes = live.read(at: first, length: Int(count)) else {
                continue
            }
            liveBytes += bytes.count
            block = bytes[...]
            start = first
            return true
        }
        // A word across a page's end.
        guard let bytes = live.read(at: address, length: 8) else { return false }
        liveBytes += 8
        block = bytes[...]
        start = address
        return true
    }
}
