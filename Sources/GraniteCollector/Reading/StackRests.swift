// Reads what the crash page did not copy of the stacks of threads that did not crash, so that they can be walked after the worker was let
// go. It is separate from the walk because it knows nothing of frames: it reads to the end of a stack, all threads in one batch.

import GraniteCrashChannel

struct StackRests {
    /// Beyond the copy, of one stack.
    static let maxBytes: UInt64 = 256 << 10
    /// Of all stacks: some 4,096 pages, which take 20 ms.
    static let maxBytesInAll: UInt64 = 16 << 20

    private let snapshot: CrashSnapshot?
    private let map: MemoryMap

    init(_ page: CapturedPage) {
        snapshot = page.snapshot
        map = page.map
    }

    /// Reads the rests into the memory's cache.
    /// - Returns: indices of the threads whose rest is too large for that.
    func read(_ threads: ArraySlice<RawThread>, memory: any HeldMemory) -> Set<Int> {
        var tooLarge: Set<Int> = []
        var ranges: [MemoryRange] = []
        var total: UInt64 = 0
        for (index, thread) in zip(threads.indices, threads) {
            guard let (start, end) = rest(of: thread), start < end else { continue }
            guard end - start <= Self.maxBytes, total + (end - start) <= Self.maxBytesInAll else {
                tooLarge.insert(index)
                continue
            }
            total += end - start
            ranges += Self.pieces(start, end)
        }
        _ = memory.read(ranges)
        return tooLarge
    }

    /// From the end of the copy to the end of the stack's mapping.
    private func rest(of thread: RawThread) -> (UInt64, UInt64)? {
        guard thread.hasRegisters, thread.registers.count > Registers.stackPointer else { return nil }
        let pointer = thread.registers[Registers.stackPointer]
        guard let mapping = map.mapping(containing: pointer), mapping.isReadable else { return nil }
        let copied = snapshot?.memory(at: pointer, atMost: .max)?.count ?? 0
        return (pointer &+ UInt64(copied), mapping.end)
    }

    /// What one read may ask for.
    private static func pieces(_ start: UInt64, _ end: UInt64) -> [MemoryRange] {
        let size: UInt64 = 32 << 10
        return (0..<(end - start + size - 1) / size).map { piece in
            MemoryRange(address: start + piece * size, length: Int(min(size, end - start - piece * size)))
        }
    }
}
