// Makes the memory map that a dead process had out of its core dump: the segments say what was mapped and how, the notes from which file.

import Glibc
import GraniteSymbols

enum CoreMap {
    /// What `/proc/PID/maps` said, as far as a core knows it.
    static func make(_ core: CoreFile, _ notes: CoreNotes) -> MemoryMap {
        var mappings: [Mapping] = []
        let files = notes.files
        var position = 0
        for segment in core.segments.prefix(MemoryMap.maxMappings) {
            while position < files.count, files[position].end <= segment.start { position += 1 }
            var mapping = Mapping(start: segment.start, end: segment.end, flags: segment.flags)
            if position < files.count, files[position].start <= segment.start {
                mapping.name(files[position], at: segment.start)
            } else {
                mapping.path = pseudoName(of: segment, notes)
            }
            mappings.append(mapping)
        }
        return MemoryMap(mappings + undumped(files, besides: core))
    }

    /// Files that have no segment at all: gdb leaves out what it does not dump. They may be read, and code may be run; what else could be
    /// done is not known.
    private static func undumped(_ files: [CoreNotes.MappedFile], besides core: CoreFile) -> [Mapping] {
        files.prefix(MemoryMap.maxMappings).compactMap { file in
            guard core.segment(containing: file.start) == nil else { return nil }
            let isCode =
                ELFImage(path: file.path)?.loadSegments.contains {
                    $0.flags & 1 != 0 && $0.offset & ~0xfff <= file.offset
                        && file.offset < $0.offset &+ max($0.fileSize, 1)
                } ?? false
            var mapping = Mapping(start: file.start, end: file.end, flags: isCode ? 5 : 4)
            mapping.name(file, at: file.start)
            return mapping
        }
    }

    /// By the addresses of the auxiliary vector: the vdso's own, and two that lie on the first thread's stack.
    private static func pseudoName(of segment: CoreFile.Segment, _ notes: CoreNotes) -> String {
        func holds(_ type: Int32) -> Bool {
            notes.auxiliary(type).map { segment.start <= $0 && $0 < segment.end } ?? false
        }
        if holds(AT_SYSINFO_EHDR) { return "[vdso]" }
        if holds(AT_RANDOM) || holds(AT_EXECFN) { return "[stack]" }
        return ""
    }
}

extension Mapping {
    /// Anonymous memory with the flags of a program header.
    fileprivate init(start: UInt64, end: UInt64, flags: UInt32) {
        self.init(
            start: start, end: end, isReadable: flags & 4 != 0, isWritable: flags & 2 != 0,
            isExecutable: flags & 1 != 0, offset: 0, inode: 0, path: "", isDeleted: false)
    }

    fileprivate mutating func name(_ file: CoreNotes.MappedFile, at address: UInt64) {
        let deleted = " (deleted)"
        isDeleted = file.path.hasSuffix(deleted)
        path = isDeleted ? String(file.path.dropLast(deleted.count)) : file.path
        offset = file.offset &+ (address - file.start)
        // A core does not keep it; that the path is a file's is all that is asked of it.
        inode = 1
    }
}
