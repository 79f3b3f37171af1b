// Reads of an ELF executable what tells whether a library can be preloaded into it: its machine and its dynamic linker (elf(5)).

import Glibc

struct ELFProgram: Equatable {
    /// Of the class, byte order and machine that this program was built for.
    var isOfThisMachine: Bool
    /// The dynamic linker that PT_INTERP names; nil for a statically linked program.
    var interpreter: String?

    /// More program headers than this are not looked at.
    private static let maxHeaders = 256
    private static let loaderType: UInt32 = 3  // PT_INTERP

    #if arch(x86_64)
    private static let machine: UInt16 = 62  // EM_X86_64
    #else
    private static let machine: UInt16 = 183  // EM_AARCH64
    #endif

    /// - Parameter head: the file's first bytes. nil if they are no whole ELF header.
    init?(descriptor: Int32, head: [UInt8]) {
        guard head.count >= 64 else { return nil }
        // ELFCLASS64, ELFDATA2LSB.
        guard head[4] == 2, head[5] == 1, Self.number(head, at: 18, as: UInt16.self) == Self.machine else {
            isOfThisMachine = false
            return
        }
        isOfThisMachine = true
        let size = Int(Self.number(head, at: 54, as: UInt16.self))
        let count = min(Int(Self.number(head, at: 56, as: UInt16.self)), Self.maxHeaders)
        let start = Self.number(head, at: 32, as: UInt64.self)
        guard size >= 56, let first = off_t(exactly: start) else { return nil }
        var headers = [UInt8](repeating: 0, count: size * count)
        guard pread(descriptor, &headers, headers.count, first) == headers.count else { return nil }
        for index in 0..<count {
            let base = index * size
            guard Self.number(headers, at: base, as: UInt32.self) == Self.loaderType else { continue }
            let offset = Self.number(headers, at: base + 8, as: UInt64.self)
            let length = Self.number(headers, at: base + 32, as: UInt64.self)
            var path = [UInt8](repeating: 0, count: Int(clamping: min(length, UInt64(PATH_MAX))))
            guard let place = off_t(exactly: offset), pread(descriptor, &path, path.count, place) == path.count else {
                return nil
            }
            interpreter = String(decoding: path.prefix { $0 != 0 }, as: UTF8.self)
            return
        }
    }

    private static func number<Value: FixedWidthInteger>(_ bytes: [UInt8], at offset: Int, as type: Value.Type) -> Value
    {
        bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Value.self)) }
    }
}
