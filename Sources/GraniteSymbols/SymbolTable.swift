// Defines the functions of an object's symbol table, sorted by address: the names that need no debug information.

import CElfutils
import Glibc

/// Function symbols of one ELF object. Names stay in the file until asked for.
struct SymbolTable {
    private struct Entry {
        var address: UInt64
        var size: UInt64
        var name: UInt32
        var rank: UInt8
    }

    private let object: ObjectFile
    private var strings = 0
    private var entries: [Entry] = []
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
            guard type == UInt8(STT_FUNC) || type == UInt8(STT_GNU_IFUNC), symbol.st_shndx != UInt16(SHN_UNDEF), symbol.st_value != 0
            else { continue }
            entries.append(
                Entry(address: symbol.st_value, size: symbol.st_size, name: symbol.st_name, rank: Self.rank(symbol.st_info)))
        }
        entries.sort { ($0.address, $0.rank) < ($1.address, $1.rank) }
    }

    /// Exported names before local ones, whether weak or not: glibc's `nanosleep` is the weak one. The resolver of an indirect
    /// function comes last: it is rarely what runs.
    private static func rank(_ info: UInt8) -> UInt8 {
        if info & 0xf == UInt8(STT_GNU_IFUNC) { return 0 }
        return Int32(info >> 4) == STB_LOCAL ? 1 : 2
    }

    /// The function that covers an address of the file. A symbol without a size (assembly) reaches up to the next one.
    /// Never the nearest one below: in a stripped file that would be a stranger's name.
    func name(at address: UInt64) -> String? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = low + (high - low) / 2
            if entries[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        // A small function within a larger one's range comes after it, hence a few steps back.
        for index in stride(from: low - 1, to: max(-1, low - 1 - Self.maxSteps), by: -1) {
            let entry = entries[index]
            let reach = address &- entry.address
            if reach < entry.size || (entry.size == 0 && isNearest(entry, below: low)) { return bestName(at: index) }
        }
        return nil
    }

    private func isNearest(_ entry: Entry, below index: Int) -> Bool {
        isComplete && entries[index - 1].address == entry.address && object.image.isExecutable(entry.address)
    }

    /// Of the names that share an address and a rank: the one with the fewest underscores in front, then the shortest, then the
    /// first of the alphabet. Always the same, so that a crash keeps its fingerprint.
    private func bestName(at index: Int) -> String? {
        entries[...index].suffix(Self.maxSteps).reversed()
            .prefix { $0.address == entries[index].address && $0.rank == entries[index].rank }
            .compactMap(text)
            .min { ($0.leadingUnderscores, $0.utf8.count, $0) < ($1.leadingUnderscores, $1.utf8.count, $1) }
    }

    private func text(_ entry: Entry) -> String? {
        guard let bytes = elf_strptr(object.elf, strings, Int(entry.name)), bytes.pointee != 0 else { return nil }
        return String(boundedCString: bytes)
    }

    private static let maxSteps = 64
}

extension String {
    fileprivate var leadingUnderscores: Int { utf8.prefix { $0 == UInt8(ascii: "_") }.count }
}
