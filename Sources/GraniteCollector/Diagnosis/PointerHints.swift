// Defines what the bits of a bad pointer, and the place it points at, say of where it came from. Hints, and worded as such. Pure.

enum PointerHints {
    /// Words that allocators and programs leave in memory so that its use is noticed, low half of the pointer.
    private static let patterns: [(word: UInt32, who: String)] = [
        (0xdead_beef, "a mark for memory that must not be used"),
        (0xbaad_f00d, "a mark for memory that was never written"),
        (0xfeee_feee, "a mark for freed memory"),
        (0xcdcd_cdcd, "what Python's debug allocator (PYTHONMALLOC=debug) fills new memory with"),
        (0xdddd_dddd, "what Python's debug allocator (PYTHONMALLOC=debug) fills freed memory with"),
        (0xfdfd_fdfd, "what Python's debug allocator (PYTHONMALLOC=debug) puts around blocks"),
        (0x5a5a_5a5a, "what jemalloc fills freed memory with"),
        (0xa5a5_a5a5, "what jemalloc fills new memory with"),
        (0xcccc_cccc, "a mark for variables that were never written"),
    ]

    /// What the pointer looks like, a clause each: a text, a known filling.
    static func look(_ pointer: UInt64) -> [String] {
        var found: [String] = []
        if let text = spelled(pointer) {
            found.append("the bytes of \(Wording.hex(pointer)) spell \"\(text)\": a text was written over the pointer")
        }
        let low = UInt32(truncatingIfNeeded: pointer)
        let high = UInt32(truncatingIfNeeded: pointer >> 32)
        if let pattern = patterns.first(where: { low & ~0xf == $0.word & ~0xf && (high == $0.word || high == 0) }) {
            found.append("\(Wording.hex(pointer)) looks like \(pattern.who)")
        }
        return found
    }

    /// The bytes in memory order, if at least five in a row are printable and nothing but zeros follows.
    static func spelled(_ pointer: UInt64) -> String? {
        let bytes = withUnsafeBytes(of: pointer.littleEndian) { Array($0) }
        let text = bytes.prefix { 0x20...0x7e ~= $0 }
        guard text.count >= 5, bytes.dropFirst(text.count).allSatisfy({ $0 == 0 }),
            Set(text).count > 1 || text.count == 8
        else { return nil }
        return String(decoding: text, as: UTF8.self)
    }

    /// How an unmapped address lies to its neighbours: `8 bytes past the end of …`.
    static func neighbourhood(_ address: UInt64, _ map: MemoryMap) -> String? {
        let reach: UInt64 = 64 << 10
        if let below = map.mapping(below: address), below.end <= address, address - below.end < reach {
            return
                "\(Wording.hex(address)) is \(Wording.count(address - below.end, "byte")) past the end of \(describe(below))"
        }
        if let above = map.mapping(above: address), above.start - address <= 4096 {
            return
                "\(Wording.hex(address)) is \(Wording.count(above.start - address, "byte")) before the start of \(describe(above))"
        }
        return nil
    }

    /// `the heap (0x…–0x…, rw-)`.
    static func describe(_ mapping: Mapping) -> String {
        let name =
            switch mapping.path {
            case "": "anonymous memory"
            case "[heap]": "the heap"
            case "[stack]": "the first thread's stack"
            default: mapping.path
            }
        return "\(name) (\(Wording.hex(mapping.start))–\(Wording.hex(mapping.end)), \(mapping.protection))"
    }
}

extension Mapping {
    /// `rw-`
    var protection: String { (isReadable ? "r" : "-") + (isWritable ? "w" : "-") + (isExecutable ? "x" : "-") }
}
