// Defines the functions of an object's symbol table, sorted by address: the names that need no debug information.

import CElfutils
import Glibc

/// Function symbols of one ELF object. Names stay in the file until asked for.
struct SymbolTable: FunctionSymbols {
    private let object: ObjectFile
    private var strings = 0
    private var entries: [FunctionSymbol] = []
    /// True if it is the full table, with local functions, not the dynamic linker's.
    private(set) var isComplete = false

    /// Takes `.symtab`, or `.dynsym` where that was stripped. Without either the table is empty.
    init(_ object: ObjectFile) {
        self.object = object
        let full = object.section { $0.header.sh_type == UInt32(SHT_SYMTAB) && $0.hasContent }
        isComplete = full != nil
        if let section = full ?? object.section(where: { $0.header.sh_type == UInt32(SHT_DYNSYM) && $0.hasContent }) {
            read(section)
        }
    }

    var isEmpty: Bool { entries.isEmpty }

    private mutating func read(_ section: ObjectFile.Section) {
        guard let data = elf_getdata(section.handle, nil), let base = data.pointee.d_buf else { return }
        strings = Int(section.header.sh_link)
        let table = UnsafeRawBufferPointer(start: base, count: data.pointee.d_size)
        let stride = MemoryLayout<Elf64_Sym>.stride
        entries.reserveCapacity(table.count / stride / 2)
        for index in 0..<table.count / stride {
            let symbol = table.loadUnaligned(fromByteOffset: index * stride, as: Elf64_Sym.self)
            let type = symbol.st_info & 0xf
            guard type == UInt8(STT_FUNC) || type == UInt8(STT_GNU_IFUNC), symbol.st_shndx != UInt16(SHN_UNDEF),
                symbol.st_value != 0
            else { continue }
            entries.append(
                FunctionSymbol(
                    address: symbol.st_value, size: symbol.st_size, name: symbol.st_name,
                    rank: Self.rank(symbol.st_info),
                    isOpenEnded: symbol.st_size == 0 && isComplete && object.image.isExecutable(symbol.st_value)))
        }
        entries.sort { ($0.address, $0.rank) < ($1.address, $1.rank) }
    }

    /// Exported names before local ones, whether weak or not: glibc's `nanosleep` is the weak one. The resolver of an indirect
    /// function comes last: it is rarely what runs.
    private static func rank(_ info: UInt8) -> UInt8 {
        if info & 0xf == UInt8(STT_GNU_IFUNC) { return 0 }
        return Int32(info >> 4) == STB_LOCAL ? 1 : 2
    }

    var count: Int { entries.count }

    func symbol(_ index: Int) -> FunctionSymbol { entries[index] }

    func text(_ name: UInt32) -> String? {
        guard let bytes = elf_strptr(object.elf, strings, Int(name)), bytes.pointee != 0 else { return nil }
        return String(boundedCString: bytes)
    }
}
