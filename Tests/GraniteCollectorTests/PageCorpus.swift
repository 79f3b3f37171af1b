// Crash pages of real crashes, and ways to damage them. Separate because several fuzz tests start from the same pages.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import TestSupport

/// The used bytes of one page, beginning with its fixed part.
struct SamplePage: Sendable {
    var name: String
    var bytes: [UInt8]
    /// Where the text of /proc/self/maps lies in `bytes`.
    var maps: Range<Int>
    var threads: Int
    var segments: Int

    /// One page of each kind of crash there is.
    static let cases = [
        "null-read", "null-write", "null-call", "wild", "abort", "fpe", "bus", "trap", "double-free",
        "stack-overflow-main", "stack-overflow-pthread", "stack-overflow-dispatch", "swift-bounds", "swift-nil",
        "fatal-error", "two-threads-at-once", "no-descriptors", "dispatch-threads", "requests", "threads-20",
    ]

    /// Runs the crashes. Blocks.
    static func makeAll(_ names: [String] = cases) throws -> [SamplePage] {
        let supervisor = try FakeSupervisor()
        return try names.map { name in
            let worker = try supervisor.spawnWorker(name)
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            try supervisor.reap(worker)
            _ = try supervisor.receiveReport()
            return try SamplePage(name: name, descriptor: worker.page)
        }
    }

    init(name: String, descriptor: Int32) throws {
        self.name = name
        let capture = try granite_capture(copiedFrom: descriptor)
        threads = Int(capture.thread_count)
        segments = Int(capture.segment_count)
        maps = Int(capture.maps_offset)..<Int(capture.maps_offset + capture.maps_length)
        let segmentEnds = (0..<segments).map { index -> Int in
            var record = granite_segment()
            let size = MemoryLayout<granite_segment>.stride
            pread(descriptor, &record, size, off_t(Int(GRANITE_OFFSET_SEGMENTS.rawValue) + index * size))
            return Int(record.offset) + Int(record.length)
        }
        let used = max(maps.upperBound, segmentEnds.max() ?? 0, Int(GRANITE_SNAPSHOT_OFFSET))
        bytes = [UInt8](repeating: 0, count: used)
        guard pread(descriptor, &bytes, used, 0) == used else { throw POSIXError(.EIO) }
    }

    /// Damages between 1 and 64 places: half of them where structure is, the others anywhere.
    func mutated(_ random: inout SplitMix) -> [UInt8] {
        var bytes = bytes
        let capture = Int(GRANITE_OFFSET_CAPTURE.rawValue)
        let records = Int(GRANITE_OFFSET_THREADS.rawValue)
        let ranges = Int(GRANITE_OFFSET_SEGMENTS.rawValue)
        let structured = [
            24..<128, capture..<capture + MemoryLayout<granite_capture>.size,
            records..<records + max(1, threads) * MemoryLayout<granite_thread>.stride,
            ranges..<ranges + max(1, segments) * MemoryLayout<granite_segment>.stride, maps,
            Int(GRANITE_OFFSET_REQUESTS.rawValue)..<capture,
        ]
        for _ in 0...random.below(64) {
            let area = random.below(2) == 0 ? structured[random.below(structured.count)] : 16..<bytes.count
            let position = area.lowerBound + random.below(area.count)
            switch random.below(4) {
            case 0: bytes[position] = random.byte()
            case 1: bytes[position] ^= 1 << UInt8(random.below(8))
            default:
                // Fields lie at multiples of their size.
                let size = random.below(2) == 0 ? 4 : 8
                let start = position / size * size
                withUnsafeBytes(of: random.hostileWord()) { word in
                    for offset in 0..<size where start + offset < bytes.count { bytes[start + offset] = word[offset] }
                }
            }
        }
        return bytes
    }

    /// A page file with these bytes: full size, sealed, as the supervisor makes it. The caller closes it.
    static func makeFile(_ bytes: [UInt8], crashID: String) throws -> Int32 {
        let descriptor = try CrashPage.make(crashID: crashID, slot: 1, generation: 1, level: 2)
        let written = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        guard written == bytes.count else { throw POSIXError(.EIO) }
        return descriptor
    }
}

extension granite_capture {
    fileprivate init(copiedFrom descriptor: Int32) throws {
        self.init()
        let size = MemoryLayout<granite_capture>.size
        guard pread(descriptor, &self, size, off_t(GRANITE_OFFSET_CAPTURE.rawValue)) == size else {
            throw POSIXError(.EIO)
        }
    }
}
