// Finds the message that glibc keeps of its last abort: `__abort_msg`, a pointer in libc's data to a length and a text
// (glibc, sysdeps/posix/libc_fatal.c and assert/assert.c).

import CElfutils
import Glibc
import GraniteSymbols

enum AbortMessage {
    static let maxBytes = 4096

    /// The message, or nil if glibc wrote none.
    static func read(modules: [LoadedModule], images: [ModuleImage], memory: any RemoteMemory) -> String? {
        guard let index = modules.firstIndex(where: { $0.name.hasPrefix("libc.so") || $0.name.hasPrefix("libc-2") }),
            let symbol = address(of: "__abort_msg", in: modules[index].path),
            let pointer = memory.word(at: symbol &+ images[index].bias), pointer != 0,
            let size = memory.read(at: pointer, length: 4)
        else { return nil }
        // The length is that of the mapping, rounded up to pages, and counts its own four bytes.
        let capacity = min(maxBytes, Int(size.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }) - 4)
        guard capacity > 0, let bytes = memory.read(at: pointer &+ 4, length: capacity) else { return nil }
        let text = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }

    /// Value of a symbol in the dynamic symbol table of a file.
    private static func address(of name: String, in path: String) -> UInt64? {
        guard let descriptor = RegularFile.open(path) else { return nil }
        defer { close(descriptor) }
        _ = elf_version(UInt32(EV_CURRENT))
        guard let elf = elf_begin(descriptor, ELF_C_READ_MMAP, nil) else { return nil }
        defer { elf_end(elf) }
        var section: OpaquePointer?
        while let current = elf_nextscn(elf, section) {
            section = current
            var header = GElf_Shdr()
            guard gelf_getshdr(current, &header) != nil, header.sh_type == UInt32(SHT_DYNSYM), header.sh_entsize > 0,
                let data = elf_getdata(current, nil)
            else { continue }
            for index in 0..<Int32(clamping: min(header.sh_size / header.sh_entsize, 100_000)) {
                var symbol = GElf_Sym()
                guard gelf_getsym(data, index, &symbol) != nil else { break }
                if let text = elf_strptr(elf, Int(header.sh_link), Int(symbol.st_name)), strcmp(text, name) == 0 {
                    return symbol.st_value
                }
            }
        }
        return nil
    }
}
