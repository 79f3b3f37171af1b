// Finds the values of named symbols in an object file. Separate from symbolization, which goes the other way, from addresses to names.

import CElfutils
import Glibc

enum SymbolLookup {
    /// Symbols of one file that are looked at: it may claim any number of tables.
    static let maxSymbols: UInt64 = 1 << 20

    /// The values of `names` in the dynamic symbol table of a file, and where it lacks some and `withStatic` is set, in its full one.
    /// - Parameter descriptor: stays the caller's.
    static func values(of names: Set<String>, in descriptor: Int32, withStatic: Bool = false) -> [String: UInt64] {
        _ = elf_version(UInt32(EV_CURRENT))
        guard let elf = elf_begin(descriptor, ELF_C_READ_MMAP, nil) else { return [:] }
        defer { elf_end(elf) }
        var found: [String: UInt64] = [:]
        var budget = maxSymbols
        for table in withStatic ? [SHT_DYNSYM, SHT_SYMTAB] : [SHT_DYNSYM] {
            collect(names, in: elf, table: UInt32(table), budget: &budget, into: &found)
            if found.count == names.count { break }
        }
        return found
    }

    private static func collect(
        _ names: Set<String>, in elf: OpaquePointer, table: UInt32, budget: inout UInt64,
        into found: inout [String: UInt64]
    ) {
        var section: OpaquePointer?
        while let current = elf_nextscn(elf, section) {
            section = current
            var header = GElf_Shdr()
            guard gelf_getshdr(current, &header) != nil, header.sh_type == table, header.sh_entsize > 0,
                let data = elf_getdata(current, nil)
            else { continue }
            let count = min(header.sh_size / header.sh_entsize, budget)
            budget -= count
            for index in 0..<Int32(clamping: count) {
                var symbol = GElf_Sym()
                guard gelf_getsym(data, index, &symbol) != nil else { break }
                // Undefined ones are what the file wants of others.
                guard symbol.st_shndx != UInt16(SHN_UNDEF),
                    let text = elf_strptr(elf, Int(header.sh_link), Int(symbol.st_name)),
                    let name = names.first(where: { strcmp(text, $0) == 0 }), found[name] == nil
                else { continue }
                found[name] = symbol.st_value
                if found.count == names.count { return }
            }
        }
    }
}
