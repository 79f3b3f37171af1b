// Defines the mappings of the reported process as its handler copied them from /proc/self/maps (proc_pid_maps(5)). It is separate
// because everything else asks it: which object holds an address, which mapping is the stack of a thread, what may be executed.

/// One line of /proc/PID/maps.
package struct Mapping: Hashable, Sendable {
    /// First address, and the first one behind it.
    package var start: UInt64
    package var end: UInt64
    package var isReadable: Bool
    package var isWritable: Bool
    package var isExecutable: Bool
    /// Offset in the file.
    package var offset: UInt64
    package var inode: UInt64
    /// Path of the file without ` (deleted)`, `[stack]`, `[vdso]`, …, or empty for anonymous memory.
    package var path: String
    /// True if the file had lost its name when the worker crashed: what lies at `path` now may be another build.
    package var isDeleted: Bool

    /// True for a file that can hold code, as opposed to anonymous memory, devices and pseudo mappings. A memfd can: programs load shared
    /// objects from it.
    package var isFile: Bool { path.hasPrefix("/") && !path.hasPrefix("/dev/") && inode != 0 }

    package func contains(_ address: UInt64) -> Bool { start <= address && address < end }
}

/// All mappings, sorted by address. The text is foreign: lines that make no sense are dropped, at most `maxMappings` are kept.
package struct MemoryMap: Sendable {
    package static let maxMappings = 65_536
    package private(set) var mappings: [Mapping] = []

    package init() {}

    package init(text: some Collection<UInt8>) {
        var last: UInt64 = 0
        for line in text.split(separator: UInt8(ascii: "\n"), maxSplits: Self.maxMappings) {
            guard mappings.count < Self.maxMappings, let mapping = Mapping(line: line) else { continue }
            // The kernel writes them sorted and apart; anything else would break the binary search.
            guard mapping.start >= last else { continue }
            last = mapping.end
            mappings.append(mapping)
        }
    }

    /// Of mappings in any order; those that overlap one before them are dropped.
    package init(_ unsorted: some Sequence<Mapping>) {
        var last: UInt64 = 0
        for mapping in unsorted.sorted(by: { $0.start < $1.start }).prefix(Self.maxMappings)
        where mapping.start >= last && mapping.start < mapping.end {
            last = mapping.end
            mappings.append(mapping)
        }
    }

    /// The mapping that holds an address.
    package func mapping(containing address: UInt64) -> Mapping? {
        guard let index = index(atOrBelow: address) else { return nil }
        return mappings[index].contains(address) ? mappings[index] : nil
    }

    /// The nearest mapping that begins above an address: what a stack that ran into its guard page belongs to.
    package func mapping(above address: UInt64) -> Mapping? {
        let next = (index(atOrBelow: address) ?? -1) + 1
        return next < mappings.count ? mappings[next] : nil
    }

    /// The mapping that ends nearest below an address.
    package func mapping(below address: UInt64) -> Mapping? {
        guard let index = index(atOrBelow: address) else { return nil }
        if !mappings[index].contains(address) { return mappings[index] }
        return index > 0 ? mappings[index - 1] : nil
    }

    private func index(atOrBelow address: UInt64) -> Int? {
        var low = 0
        var high = mappings.count
        while low < high {
            let middle = (low + high) / 2
            if mappings[middle].start <= address { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }
}

extension Mapping {
    /// `7f0c5e400000-7f0c5e428000 r--p 00000000 fe:00 131113   /usr/lib/x86_64-linux-gnu/libc.so.6`
    init?(line: some Collection<UInt8>) {
        let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5, omittingEmptySubsequences: true)
        guard fields.count >= 5 else { return nil }
        let range = fields[0].split(separator: UInt8(ascii: "-"))
        guard range.count == 2, let start = Self.number(range[0], radix: 16),
            let end = Self.number(range[1], radix: 16), start < end,
            let offset = Self.number(fields[2], radix: 16), let inode = Self.number(fields[4], radix: 10)
        else { return nil }
        self.start = start
        self.end = end
        self.offset = offset
        self.inode = inode
        isReadable = fields[1].contains(UInt8(ascii: "r"))
        isWritable = fields[1].contains(UInt8(ascii: "w"))
        isExecutable = fields[1].contains(UInt8(ascii: "x"))
        var path = ""
        if fields.count == 6 { path = String(decoding: fields[5].drop { $0 == UInt8(ascii: " ") }, as: UTF8.self) }
        let deleted = " (deleted)"
        isDeleted = path.hasPrefix("/") && path.hasSuffix(deleted)
        self.path = isDeleted ? String(path.dropLast(deleted.count)) : path
    }

    private static func number(_ digits: some Collection<UInt8>, radix: Int) -> UInt64? {
        guard digits.count <= 20 else { return nil }
        return UInt64(String(decoding: digits, as: UTF8.self), radix: radix)
    }
}
