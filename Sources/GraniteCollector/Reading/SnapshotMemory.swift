// Defines the memory that the handler copied into the crash page: stacks, the vdso, bytes near registers. It outlives the worker.

import Glibc

/// Ranges of a worker's memory by address. Overlapping ranges are allowed; the one that begins last below an address is asked first.
package struct SnapshotMemory: RemoteMemory, Sendable {
    package struct Segment: Sendable, Equatable {
        package var address: UInt64
        package var bytes: [UInt8]
        package init(address: UInt64, bytes: [UInt8]) {
            self.address = address
            self.bytes = bytes
        }
    }

    private let segments: [Segment]

    package init(_ segments: [Segment]) { self.segments = segments.sorted { $0.address < $1.address } }

    package func read(_ ranges: [MemoryRange]) -> [[UInt8]?] { ranges.map(bytes) }

    /// The native word at an address. The walk asks for every word of a stack by this.
    package func word(at address: UInt64) -> UInt64? {
        withSegment(holding: address, count: 8) { segment, offset in
            segment.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        }
    }

    private func bytes(_ range: MemoryRange) -> [UInt8]? {
        guard range.length > 0 else { return nil }
        return withSegment(holding: range.address, count: range.length) { Array($0[$1..<($1 + range.length)]) }
    }

    private func withSegment<T>(holding address: UInt64, count: Int, _ body: ([UInt8], Int) -> T) -> T? {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        // A few, not all: a hostile page may hold thousands that overlap.
        for index in stride(from: low - 1, through: max(0, low - 8), by: -1) where index >= 0 {
            let distance = address - segments[index].address
            guard distance < UInt64(segments[index].bytes.count) else { continue }
            let offset = Int(distance)
            if segments[index].bytes.count - offset >= count { return body(segments[index].bytes, offset) }
        }
        return nil
    }
}
