// Defines an ELF file that libelf has opened: sections, build-id, and whether it holds debug information.

import CElfutils
import Glibc

/// One ELF object, from a file or from bytes. Used by one thread.
///
/// Files are mapped, not read: a page costs nothing until it is needed. Someone who truncates a file in place while it is
/// open here kills the collector by SIGBUS; it is restarted, and then finds the short file malformed.
final class ObjectFile {
    let path: String
    let elf: OpaquePointer
    let image: ELFImage
    let buildID: [UInt8]?
    /// Kept open: libelf reads through it where it could not map.
    private let file: RegularFile?
    private let memory: UnsafeMutableRawBufferPointer?

    init(path: String, maxBytes: Int64) throws(SymbolsError) {
        let file = try RegularFile(path: path)
        guard file.size <= maxBytes else { throw SymbolsError(code: .tooLarge, path: path) }
        _ = elf_version(UInt32(EV_CURRENT))
        guard let image = ELFImage(file: file), let elf = elf_begin(file.descriptor, ELF_C_READ_MMAP, nil) else {
            throw SymbolsError(code: .notELF, path: path)
        }
        self.path = path
        self.file = file
        self.memory = nil
        self.image = image
        self.elf = elf
        self.buildID = Self.buildID(of: elf)
    }

    /// From an image in memory; `name` stands for a path in messages.
    init(bytes: [UInt8], name: String) throws(SymbolsError) {
        _ = elf_version(UInt32(EV_CURRENT))
        guard let image = ELFImage(bytes: bytes) else { throw SymbolsError(code: .notELF, path: name) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        memory.copyBytes(from: bytes)
        guard let elf = elf_memory(memory.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count) else {
            memory.deallocate()
            throw SymbolsError(code: .notELF, path: name)
        }
        self.path = name
        self.file = nil
        self.memory = memory
        self.image = image
        self.elf = elf
        self.buildID = Self.buildID(of: elf)
    }

    /// Address space that it takes.
    var mappedBytes: Int64 { file?.size ?? Int64(memory?.count ?? 0) }

    deinit {
        elf_end(elf)
        memory?.deallocate()
    }

    /// True if functions and lines can be read from it: `.debug_info` with content.
    private(set) lazy var hasDebugInformation =
        section { [".debug_info", ".zdebug_info"].contains($0.name) && $0.hasContent } != nil

    /// `.gnu_debuglink`: a file name and the CRC-32 of that file. Nil if absent, or if the name isn't a plain one.
    var debugLink: (name: String, checksum: UInt32)? {
        var checksum: GElf_Word = 0
        guard let name = dwelf_elf_gnu_debuglink(elf, &checksum) else { return nil }
        let text = String(cString: name)
        guard !text.isEmpty, !text.utf8.contains(UInt8(ascii: "/")), text.utf8.count < 256, text != ".", text != ".."
        else { return nil }
        return (text, checksum)
    }

    struct Section {
        var name: String
        var header: GElf_Shdr
        var handle: OpaquePointer
        /// False in files that hold only the place of a section: stripped ones, debug files.
        var hasContent: Bool { header.sh_type != UInt32(SHT_NOBITS) && header.sh_size > 0 }
    }

    /// The first section that fits.
    func section(where fits: (Section) -> Bool) -> Section? {
        var names = 0
        guard elf_getshdrstrndx(elf, &names) == 0 else { return nil }
        var current = elf_nextscn(elf, nil)
        while let handle = current {
            var header = GElf_Shdr()
            if gelf_getshdr(handle, &header) != nil {
                let name = elf_strptr(elf, names, Int(header.sh_name)).map { String(cString: $0) } ?? ""
                let section = Section(name: name, header: header, handle: handle)
                if fits(section) { return section }
            }
            current = elf_nextscn(elf, handle)
        }
        return nil
    }

    /// By notes of segments or of sections: a debug file's program headers may point to nothing.
    private static func buildID(of elf: OpaquePointer) -> [UInt8]? {
        var bytes: UnsafeRawPointer?
        let count = dwelf_elf_gnu_build_id(elf, &bytes)
        guard let bytes, (1...64).contains(count) else { return nil }
        return [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
    }
}
