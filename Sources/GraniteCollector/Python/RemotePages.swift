// Defines a cache of the reported process's pages: structures lie close together, so a page answers many questions and
// one batch many threads. Separate from RemoteMemory, which only carries bytes.

import CLinux

/// Pages read so far. Not Sendable: one reader, one thread.
final class RemotePages {
    static let pageBytes = 4096
    /// 64 MiB; a process with 500 threads takes 5.
    static let maxPages = 16384
    /// Pages in one batch.
    static let maxBatch = 512
    /// Pages of read-ahead that make deep recursion one round trip for some 200 frames instead of 30.
    static let chainReadAhead: UInt64 = 7

    private let memory: any RemoteMemory
    /// Page number → bytes; empty where nothing is mapped.
    private var pages: [UInt64: [UInt8]] = [:]
    private(set) var roundTrips = 0
    /// True once ``maxPages`` were asked for; what is not here yet then counts as unreadable.
    private(set) var isExhausted = false
    /// CLOCK_MONOTONIC, nanoseconds. What is not here by then counts as unreadable.
    var deadline = UInt64.max
    /// True once something was asked for after `deadline`.
    private(set) var isLate = false

    init(_ memory: any RemoteMemory) { self.memory = memory }

    /// Reads the pages of all ranges in as few round trips as possible. `readAhead`: with each page that is not here
    /// yet, so many below it, where a chain (the older frame, the older thread) mostly goes on. A page more costs 5 µs,
    /// a round trip 36–70.
    func fetch(_ ranges: [MemoryRange], readAhead: UInt64 = 0) {
        var wanted: [UInt64] = []
        var seen: Set<UInt64> = []
        for range in ranges {
            guard let numbers = Self.pageNumbers(range) else { continue }
            for number in numbers where pages[number] == nil && seen.insert(number).inserted {
                wanted.append(number)
                for below in (number - min(readAhead, number - 1)..<number).reversed() {
                    guard pages[below] == nil, seen.insert(below).inserted else { break }
                    wanted.append(below)
                }
            }
        }
        if !wanted.isEmpty, deadline != .max, granite_monotonic_ns() >= deadline {
            isLate = true
            return
        }
        if wanted.count > Self.maxPages - pages.count {
            isExhausted = true
            wanted.removeLast(wanted.count - (Self.maxPages - pages.count))
        }
        for start in stride(from: 0, to: wanted.count, by: Self.maxBatch) {
            let batch = wanted[start..<min(start + Self.maxBatch, wanted.count)]
            let answers = memory.read(
                batch.map { MemoryRange(address: $0 * UInt64(Self.pageBytes), length: Self.pageBytes) })
            roundTrips += 1
            for (index, number) in batch.enumerated() {
                let answer = index < answers.count ? answers[index] : nil
                pages[number] = answer?.count == Self.pageBytes ? answer : []
            }
        }
    }

    /// Native-endian; nil where nothing is mapped.
    func integer<T: FixedWidthInteger & BitwiseCopyable>(at address: UInt64, as type: T.Type = T.self) -> T? {
        let offset = Int(address % UInt64(Self.pageBytes))
        if offset <= Self.pageBytes - MemoryLayout<T>.size {
            guard let page = page(address / UInt64(Self.pageBytes)) else { return nil }
            return page.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
        }
        guard let bytes = bytes(at: address, count: MemoryLayout<T>.size) else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: type) }
    }

    /// All of the bytes, or nil.
    func bytes(at address: UInt64, count: Int) -> [UInt8]? {
        let range = MemoryRange(address: address, length: count)
        guard let numbers = Self.pageNumbers(range) else { return nil }
        fetch([range])
        var result: [UInt8] = []
        result.reserveCapacity(count)
        for number in numbers {
            guard let page = pages[number], !page.isEmpty else { return nil }
            let start = number == numbers.lowerBound ? Int(address % UInt64(Self.pageBytes)) : 0
            result += page[start..<min(Self.pageBytes, start + count - result.count)]
        }
        return result
    }

    private func page(_ number: UInt64) -> [UInt8]? {
        if pages[number] == nil { fetch([MemoryRange(address: number &* UInt64(Self.pageBytes), length: 1)]) }
        guard let page = pages[number], !page.isEmpty else { return nil }
        return page
    }

    /// nil for what no x86_64 process can have mapped: the first page, the kernel's half, more than 2 MiB in one piece.
    private static func pageNumbers(_ range: MemoryRange) -> ClosedRange<UInt64>? {
        guard range.length > 0, range.length <= 2 << 20, range.address >= UInt64(pageBytes),
            range.address < (1 << 47) - UInt64(range.length)
        else { return nil }
        return range.address / UInt64(pageBytes)...(range.address + UInt64(range.length) - 1) / UInt64(pageBytes)
    }
}
