// Defines the worker's memory as the crash page kept it: stacks, the vdso, bytes near registers.

import CGraniteCapture
import Glibc

extension CrashPage {
    /// Reads the snapshot area once, at most `GRANITE_SNAPSHOT_CAPACITY` bytes. Empty before stage D.
    package func snapshot() throws(CrashPageError) -> CrashSnapshot {
        let count = min(Int(try rawCapture().segment_count), Int(GRANITE_MAX_SEGMENTS))
        let records = try read(
            granite_segment.self, at: Int(GRANITE_OFFSET_SEGMENTS.rawValue), count: count,
            while: "reading the segments in the crash page")
        let start = UInt64(GRANITE_SNAPSHOT_OFFSET)
        let end = start + UInt64(GRANITE_SNAPSHOT_CAPACITY)
        let segments = records.compactMap { record -> CrashSnapshot.Segment? in
            // Records that point out of the area or past the end of the address space are not ours.
            guard record.length > 0, record.offset >= start, record.offset < end,
                UInt64(record.length) <= end - record.offset,
                !record.address.addingReportingOverflow(UInt64(record.length)).overflow
            else { return nil }
            return CrashSnapshot.Segment(
                kind: .init(rawValue: record.kind), address: record.address, length: Int(record.length),
                position: Int(record.offset - start))
        }
        let used = segments.map { $0.position + $0.length }.max() ?? 0
        let bytes = try read(UInt8.self, at: Int(start), count: used, while: "reading the memory in the crash page")
        return CrashSnapshot(segments: segments, bytes: bytes)
    }
}

/// Memory of a worker that may be dead by now.
package struct CrashSnapshot: Sendable {
    /// `enum granite_segment_kind`.
    package enum Kind: UInt32, Sendable {
        case stack = 1
        case vdso, nearRegister, code
    }

    /// One range of the worker's memory.
    package struct Segment: Sendable, Equatable {
        /// nil for a kind this program does not know.
        package var kind: Kind?
        package var address: UInt64
        package var length: Int
        /// Where its bytes are in `bytes`.
        var position: Int
    }

    /// In the order in which they were copied: vdso, crashed stack, code, near registers, other stacks.
    package let segments: [Segment]
    private let bytes: [UInt8]
    /// Indices of `segments` by rising address.
    private let order: [Int]

    init(segments: [Segment], bytes: [UInt8]) {
        self.segments = segments
        self.bytes = bytes
        order = segments.indices.sorted { segments[$0].address < segments[$1].address }
    }

    /// The bytes from `address`, at most `length` and as many as one segment holds. nil if none is there.
    package func memory(at address: UInt64, atMost length: Int) -> ArraySlice<UInt8>? {
        guard length > 0 else { return nil }
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low + high) / 2
            if segments[order[middle]].address <= address { low = middle + 1 } else { high = middle }
        }
        // Segments may overlap (bytes near a register inside a stack): the best is the one that reaches farthest. Those
        // that begin before `address` are few, but a hostile page may hold 2048.
        var best: ArraySlice<UInt8>?
        for index in order[..<low].reversed().prefix(64) {
            let segment = segments[index]
            let skipped = address - segment.address
            guard skipped < UInt64(segment.length) else { continue }
            let available = min(length, segment.length - Int(skipped))
            if available > best?.count ?? 0 {
                let begin = segment.position + Int(skipped)
                best = bytes[begin..<begin + available]
            }
            if available == length { break }
        }
        return best
    }

    /// The `length` bytes at `address`, or nil if one segment does not hold them all.
    package func memory(at address: UInt64, length: Int) -> ArraySlice<UInt8>? {
        guard let found = memory(at: address, atMost: length), found.count == length else { return nil }
        return found
    }

    /// The 8 bytes at `address`, native order: what an unwinder asks for.
    package func word(at address: UInt64) -> UInt64? {
        guard let found = memory(at: address, length: 8) else { return nil }
        return found.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    }
}
