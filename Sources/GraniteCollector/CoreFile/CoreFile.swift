// Defines a core dump's table of contents: its memory segments and its notes (elf(5), core(5)). Own bounded reader: a core is as hostile as
// the program that died, and it may be cut anywhere.

import Glibc

/// A 64-bit core dump of this machine's architecture. Its memory is read when it is asked for.
package struct CoreFile {
    /// Segments of a process: one for each mapping. The kernel's own limit is vm.max_map_count, 65,530 by default.
    static let maxSegments: UInt64 = 262_144
    static let maxNoteBytes: UInt64 = 64 << 20
    static let segmentBytes = 56

    /// A range of the process's memory (PT_LOAD).
    struct Segment: Equatable {
        var start: UInt64
        var end: UInt64
        /// In the file; `fileBytes` may be fewer than the memory's, or 0: what was not dumped.
        var offset: UInt64
        var fileBytes: UInt64
        /// 1 executable, 2 writable, 4 readable.
        var flags: UInt32
    }

    let bytes: CoreBytes
    /// Sorted, apart from each other.
    let segments: [Segment]
    /// The notes' bytes, as many as there are.
    let notes: [[UInt8]]
    /// CLOCK_REALTIME: when the file was written.
    package let writtenNanoseconds: UInt64
    /// True if the file ends before its last segment does.
    let isTruncated: Bool

    /// Opens a regular file.
    package init(path: String) throws(CollectorError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw CollectorError(.systemCall, errno: errno, doing: "Cannot open \(path)") }
        try self.init(descriptor: descriptor, name: path)
    }

    /// Takes over a descriptor of a regular file.
    package init(descriptor: Int32, name: String) throws(CollectorError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let reason = errno
            close(descriptor)
            throw CollectorError(.systemCall, errno: reason, doing: "Cannot examine \(name)")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw CollectorError(
                .unusableCore,
                doing: "\(name) is no regular file: give the path of a core dump, or - to read one from standard input"
            )
        }
        bytes = CoreBytes(descriptor: descriptor, size: UInt64(max(0, status.st_size)))
        writtenNanoseconds =
            UInt64(max(0, status.st_mtim.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, status.st_mtim.tv_nsec))

        let header = bytes.read(at: 0, count: Int(min(bytes.size, 64))) ?? []
        if let problem = CoreRefusal.problem(header) {
            throw CollectorError(.unusableCore, doing: "\(name) \(problem)")
        }
        guard let table = Self.table(header, bytes) else {
            throw CollectorError(
                .unusableCore, doing: "\(name) is cut off before its table of segments ends: nothing can be read of it")
        }
        (segments, notes, isTruncated) = Self.contents(table, bytes)
        guard !notes.isEmpty else {
            throw CollectorError(
                .unusableCore, doing: "\(name) has no notes that can be read, so its threads are not known")
        }
    }

    /// The program headers.
    private static func table(_ header: [UInt8], _ bytes: CoreBytes) -> [UInt8]? {
        guard let offset = header.number(UInt64.self, at: 32), let entrySize = header.number(UInt16.self, at: 54),
            let small = header.number(UInt16.self, at: 56), Int(entrySize) == segmentBytes
        else { return nil }
        var count = UInt64(small)
        // PN_XNUM: more than 65,534 are counted in the first section header (elf(5)).
        if small == 0xffff, let sections = header.number(UInt64.self, at: 40),
            let section = bytes.read(at: sections, count: 64), let large = section.number(UInt32.self, at: 44)
        {
            count = UInt64(large)
        }
        guard count > 0, count <= maxSegments else { return nil }
        return bytes.read(at: offset, count: Int(count) * segmentBytes)
    }

    private static func contents(_ table: [UInt8], _ bytes: CoreBytes) -> ([Segment], [[UInt8]], Bool) {
        var loads: [Segment] = []
        var notes: [[UInt8]] = []
        var isTruncated = false
        var noteBytes: UInt64 = 0
        for entry in stride(from: 0, to: table.count, by: segmentBytes) {
            let entry = table[entry..<entry + segmentBytes]
            guard let type = entry.number(UInt32.self, at: 0), let flags = entry.number(UInt32.self, at: 4),
                let offset = entry.number(UInt64.self, at: 8), let address = entry.number(UInt64.self, at: 16),
                let fileBytes = entry.number(UInt64.self, at: 32), let memoryBytes = entry.number(UInt64.self, at: 40)
            else { continue }
            let there = offset < bytes.size ? min(fileBytes, bytes.size - offset) : 0
            isTruncated = isTruncated || there < fileBytes
            switch type {
            case UInt32(PT_LOAD):
                let (end, overflow) = address.addingReportingOverflow(memoryBytes)
                guard memoryBytes > 0, !overflow else { continue }
                loads.append(
                    Segment(
                        start: address, end: end, offset: offset, fileBytes: min(there, memoryBytes), flags: flags))
            case UInt32(PT_NOTE):
                guard there > 0, noteBytes + there <= maxNoteBytes,
                    let content = bytes.read(at: offset, count: Int(there))
                else { continue }
                noteBytes += there
                notes.append(content)
            default: continue
            }
        }
        var last: UInt64 = 0
        var apart: [Segment] = []
        for segment in loads.sorted(by: { $0.start < $1.start }) where segment.start >= last {
            last = segment.end
            apart.append(segment)
        }
        return (apart, notes, isTruncated)
    }

    /// The segment that holds an address.
    func segment(containing address: UInt64) -> Segment? {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].start <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0, address < segments[low - 1].end else { return nil }
        return segments[low - 1]
    }
}
