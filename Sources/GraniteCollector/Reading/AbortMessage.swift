// Finds the message that glibc keeps of its last abort: `__abort_msg`, a pointer in libc's data to a length and a text
// (glibc, sysdeps/posix/libc_fatal.c and assert/assert.c).

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
        return SymbolLookup.values(of: [name], in: descriptor)[name]
    }
}
