// Defines the little of an ELF file that placing it in memory needs: program headers and the build-id.
// Read by our own bounded reader, not by libelf: cheap enough to do for each mapped file of a process.

import Glibc

/// The program headers of a 64-bit little-endian ELF object (elf(5)). All addresses and sizes are as the file claims:
/// they may be hostile, so callers use wrapping arithmetic.
package struct ELFImage: Equatable, Sendable {
    package struct Segment: Equatable, Sendable {
        /// `p_type`.
        package var type: UInt32
        /// `p_flags`: 1 executable, 2 writable, 4 readable.
        package var flags: UInt32
        /// `p_offset`, in the file.
        package var offset: UInt64
        /// `p_vaddr`, before the load bias is added.
        package var address: UInt64
        /// `p_filesz`.
        package var fileSize: UInt64
        /// `p_memsz`.
        package var memorySize: UInt64
        /// `p_align`.
        package var alignment: UInt64
    }

    /// In the file's order; at most 512. Empty in files that are never mapped.
    package let segments: [Segment]

    /// Reads header and program headers from the start of an object, in a file or in memory.
    /// Nil if `bytes` is no such object or ends before its program headers do.
    package init?(bytes: [UInt8]) {
        guard let table = ProgramHeaderTable(header: bytes), table.offset <= UInt64(bytes.count) else { return nil }
        guard let segments = table.segments(in: bytes[Int(table.offset)...]) else { return nil }
        self.segments = segments
    }

    /// Reads them from a file. Nil if it can't be read or is no such object. Pipes and devices are never waited for.
    package init?(path: String) {
        guard let file = try? RegularFile(path: path), let image = ELFImage(file: file) else { return nil }
        self = image
    }

    init?(file: RegularFile) {
        guard let table = ProgramHeaderTable(header: file.read(at: 0, count: ProgramHeaderTable.headerSize)),
            let segments = table.segments(in: file.read(at: table.offset, count: table.size)[...])
        else { return nil }
        self.segments = segments
    }

    /// The segments that are mapped, in the file's order, which the ABI makes ascending.
    package var loadSegments: [Segment] { segments.filter { $0.type == ELFConstant.load } }

    /// Runtime address minus file address, given a mapping of the file as /proc/PID/maps shows it: the one with the lowest
    /// address, or the executable one with `executable: true`. (Of the others some share a page of the file with their
    /// neighbour, so that offsets don't tell them apart.) Nil if no segment was mapped from that offset. May wrap.
    package func bias(mappedAt start: UInt64, fileOffset: UInt64, executable: Bool = false) -> UInt64? {
        let loads = loadSegments.filter { !executable || $0.flags & 1 != 0 }
        // The dynamic loader maps each segment from its page's start.
        if let whole = loads.first(where: { $0.fileSize > 0 && $0.offset & ~Self.pageMask == fileOffset }) {
            return start &- (whole.address & ~Self.pageMask)
        }
        // mprotect(2) in the middle of a segment splits its mapping.
        guard let part = loads.first(where: { fileOffset >= $0.offset && fileOffset &- $0.offset < $0.fileSize }) else { return nil }
        return start &- (part.address &+ (fileOffset &- part.offset))
    }

    /// True if a file address (without bias) is in an executable segment.
    package func isExecutable(_ address: UInt64) -> Bool {
        loadSegments.contains { $0.flags & 1 != 0 && address >= $0.address && address &- $0.address < $0.memorySize }
    }

    /// The build-id of a file; nil if it has none or can't be read.
    package static func buildID(path: String) -> [UInt8]? {
        guard let file = try? RegularFile(path: path), let image = ELFImage(file: file) else { return nil }
        for note in image.noteSegments {
            if let id = buildID(notes: file.read(at: note.offset, count: note.fileSize)) { return id }
        }
        return nil
    }

    /// The build-id of an object in memory whose bytes start at file offset 0 and file address `segments.first` (the vdso).
    package static func buildID(bytes: [UInt8]) -> [UInt8]? {
        guard let image = ELFImage(bytes: bytes) else { return nil }
        for note in image.noteSegments where note.offset <= UInt64(bytes.count) {
            let size = min(note.fileSize, UInt64(bytes.count) - note.offset)
            if let id = buildID(notes: Array(bytes[Int(note.offset)..<Int(note.offset + size)])) { return id }
        }
        return nil
    }

    /// Where the notes are: in memory at `address` plus the bias. Sizes are cut at 64 KiB.
    package var noteSegments: [Segment] {
        segments.filter { $0.type == ELFConstant.note }.map { note in
            var note = note
            note.fileSize = min(note.fileSize, Self.maxNoteBytes)
            note.memorySize = min(note.memorySize, Self.maxNoteBytes)
            return note
        }
    }

    /// The build-id among the notes of one segment (elf(5), "Notes"), as read from the file or from a process's memory.
    /// Nil if there is none, or one of an impossible size.
    package static func buildID(notes: [UInt8]) -> [UInt8]? {
        var offset = 0
        while let nameSize = notes.integer(UInt32.self, at: offset), let size = notes.integer(UInt32.self, at: offset + 4),
            let type = notes.integer(UInt32.self, at: offset + 8)
        {
            let name = offset + 12
            // Int is 64 bits wide, and each size at most 2^32 - 1: no sum overflows. Notes are aligned to 4 bytes here, to 8
            // only in segments of their own (.note.gnu.property), which hold no build-id.
            let content = name + (Int(nameSize) + 3) & ~3
            guard content <= notes.count, Int(size) <= notes.count - content else { return nil }
            if type == ELFConstant.buildIDNote, nameSize == 4, Array(notes[name..<name + 4]) == Array("GNU\0".utf8) {
                return (1...64).contains(size) ? Array(notes[content..<content + Int(size)]) : nil
            }
            offset = content + (Int(size) + 3) & ~3
        }
        return nil
    }

    private static let pageMask: UInt64 = 0xfff
    private static let maxNoteBytes: UInt64 = 65536
}

/// elf.h has them as macros or typed enumerations that Swift doesn't import alike everywhere.
enum ELFConstant {
    static let load: UInt32 = 1
    static let note: UInt32 = 4
    static let buildIDNote: UInt32 = 3
}

/// Where an ELF header says that the program headers are.
struct ProgramHeaderTable {
    static let headerSize: UInt64 = 64
    private static let entrySize: UInt64 = 56
    private static let maxEntries: UInt16 = 512

    let offset: UInt64
    private let count: UInt16

    var size: UInt64 { UInt64(count) * Self.entrySize }

    /// Nil unless 64-bit, little-endian, with program headers of the known size or none (files of debug information only).
    init?(header: [UInt8]) {
        guard header.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), let offset = header.integer(UInt64.self, at: 32),
            let entrySize = header.integer(UInt16.self, at: 54), let count = header.integer(UInt16.self, at: 56),
            count == 0 || UInt64(entrySize) == Self.entrySize, count <= Self.maxEntries, offset < UInt64(Int64.max)
        else { return nil }
        self.offset = offset
        self.count = count
    }

    func segments(in bytes: ArraySlice<UInt8>) -> [ELFImage.Segment]? {
        guard UInt64(bytes.count) >= size else { return nil }
        let table = Array(bytes.prefix(Int(size)))
        return (0..<Int(count)).compactMap { index in
            let at = index * Int(Self.entrySize)
            guard let type = table.integer(UInt32.self, at: at), let flags = table.integer(UInt32.self, at: at + 4),
                let offset = table.integer(UInt64.self, at: at + 8), let address = table.integer(UInt64.self, at: at + 16),
                let fileSize = table.integer(UInt64.self, at: at + 32), let memorySize = table.integer(UInt64.self, at: at + 40),
                let alignment = table.integer(UInt64.self, at: at + 48)
            else { return nil }
            return ELFImage.Segment(
                type: type, flags: flags, offset: offset, address: address, fileSize: fileSize, memorySize: memorySize,
                alignment: alignment)
        }
    }
}

extension [UInt8] {
    /// A little-endian integer, or nil where the bytes end.
    func integer<T: FixedWidthInteger>(_: T.Type, at offset: Int) -> T? {
        guard offset >= 0, count >= MemoryLayout<T>.size, offset <= count - MemoryLayout<T>.size else { return nil }
        return withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }
}
