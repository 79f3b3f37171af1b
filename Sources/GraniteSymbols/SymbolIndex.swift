// Defines the index of one build of one object as it lies on disk: all functions, inlined ones included, all lines and all symbols, as
// sorted tables that are searched where they are mapped. It is what reading DWARF would give, without reading DWARF.

import Glibc

/// A mapped index. Everything in it may be hostile: each number is checked where it is used, and a damaged index at worst gives wrong
/// names of the right length. Used by one thread.
final class SymbolIndex: FunctionSymbols {
    typealias Answer = DebugInformation.Answer

    static let magic: UInt64 = 0x3130_5844_4e49_5247  // "GRINDX01"
    /// Raise it whenever the layout changes, or the rule that makes names or lines: an older index is then made anew.
    static let version: UInt32 = 1
    static let headerBytes = 160
    static let maxBytes = 256 << 20
    private static let maxChain = 128

    /// Of the parts, in the file's order. Rows have 32-bit fields.
    enum Part: Int, CaseIterable {
        /// start, index of a function or -1
        case functionRanges
        /// parent or -1, linkage name, name, call file, call line, call column | flags << 24
        case functions
        /// start, file, line or -1 for none, column
        case lines
        /// start, language or -1 for no unit
        case units
        /// address, size, name, rank | isOpenEnded << 8
        case symbols
        /// Texts that end in NUL; offset 0 is "none".
        case strings

        var rowBytes: Int {
            switch self {
            case .functionRanges, .units: 8
            case .functions: 24
            case .lines, .symbols: 16
            case .strings: 1
            }
        }
    }

    static let languages: [SourceLanguage] = [.c, .cplus, .swift, .rust]

    private let bytes: UnsafeRawBufferPointer
    private let release: () -> Void
    /// The lowest address; all others are stored relative to it.
    private let base: UInt64
    private let starts: [Int]
    private let counts: [Int]

    /// Takes the bytes over; `release` frees them. Nil, and released, unless it is an index of this version, whole, undamaged and of
    /// this build.
    init?(bytes: UnsafeRawBufferPointer, buildID: [UInt8], release: @escaping () -> Void) {
        let header = SymbolIndexHeader(bytes)
        guard let header, header.buildID == buildID,
            header.checksum == SymbolIndexHeader.checksum(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(24)))
        else {
            release()
            return nil
        }
        self.bytes = bytes
        self.release = release
        base = header.base
        starts = header.starts
        counts = header.counts
    }

    deinit { release() }

    func answer(at address: UInt64) -> Answer {
        guard address >= base, let offset = UInt32(exactly: address &- base),
            let unit = find(.units, offset), word(.units, unit, 1) != .max
        else { return Answer() }
        let code = Int(word(.units, unit, 1))
        let language = Self.languages.indices.contains(code) ? Self.languages[code] : nil
        var answer = Answer(position: position(at: offset), language: language)
        var position = answer.position
        var next = find(.functionRanges, offset).map { word(.functionRanges, $0, 1) } ?? .max
        while next != .max, Int(next) < counts[Part.functions.rawValue], answer.functions.count < Self.maxChain {
            let row = Int(next)
            let flags = word(.functions, row, 5) >> 24
            let isInlined = flags & 1 != 0
            answer.functions.append(
                .init(
                    linkageName: text(word(.functions, row, 1)), name: text(word(.functions, row, 2)),
                    inlined: isInlined,
                    language: language, position: position))
            guard isInlined else { break }
            position = DebugInformation.Position(
                file: text(word(.functions, row, 3)), rawLine: Int(word(.functions, row, 4)),
                column: Int(word(.functions, row, 5) & 0xff_ffff))
            next = word(.functions, row, 0)
        }
        return answer
    }

    private func position(at offset: UInt32) -> DebugInformation.Position {
        guard let row = find(.lines, offset), word(.lines, row, 2) != .max else { return .init() }
        return .init(
            file: text(word(.lines, row, 1)), rawLine: Int(word(.lines, row, 2)), column: Int(word(.lines, row, 3)))
    }

    var count: Int { counts[Part.symbols.rawValue] }

    func symbol(_ index: Int) -> FunctionSymbol {
        let rank = word(.symbols, index, 3)
        return FunctionSymbol(
            address: base &+ UInt64(word(.symbols, index, 0)), size: UInt64(word(.symbols, index, 1)),
            name: word(.symbols, index, 2), rank: UInt8(truncatingIfNeeded: rank), isOpenEnded: rank & 0x100 != 0)
    }

    func text(_ name: UInt32) -> String? {
        let size = counts[Part.strings.rawValue]
        guard name > 0, Int(name) < size else { return nil }
        let rest = bytes[(starts[Part.strings.rawValue] + Int(name))..<(starts[Part.strings.rawValue] + size)]
        let text = rest.prefix(Mangling.maxNameBytes + 1).prefix { $0 != 0 }
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }

    /// The last row that starts at or before the offset.
    private func find(_ part: Part, _ offset: UInt32) -> Int? {
        var low = 0
        var high = counts[part.rawValue]
        while low < high {
            let middle = low + (high - low) / 2
            if word(part, middle, 0) <= offset { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? low - 1 : nil
    }

    /// Rows are within the part: callers have compared with its count.
    private func word(_ part: Part, _ row: Int, _ field: Int) -> UInt32 {
        let at = starts[part.rawValue] + row * part.rowBytes + field * 4
        guard row >= 0, row < counts[part.rawValue], at >= 0, at <= bytes.count - 4 else { return .max }
        return UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
}

/// The first bytes of an index: magic 8, version 4, unused 4, checksum of all behind it 8, length 8, lowest address 8, six counts of 8,
/// length of the build-id 1, the build-id 63.
struct SymbolIndexHeader {
    static let maxBuildIDBytes = 63

    var checksum: UInt64
    var base: UInt64
    var counts: [Int]
    var starts: [Int]
    var buildID: [UInt8]

    /// Nil unless the parts fill the bytes exactly.
    init?(_ bytes: UnsafeRawBufferPointer) {
        func integer(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        guard bytes.count >= SymbolIndex.headerBytes, bytes.count <= SymbolIndex.maxBytes,
            integer(0) == SymbolIndex.magic, integer(8) == UInt64(SymbolIndex.version),
            integer(24) == UInt64(bytes.count)
        else { return nil }
        checksum = integer(16)
        base = integer(32)
        counts = []
        starts = []
        var end = SymbolIndex.headerBytes
        for part in SymbolIndex.Part.allCases {
            let count = integer(40 + part.rawValue * 8)
            guard count <= UInt64(SymbolIndex.maxBytes) else { return nil }
            starts.append(end)
            counts.append(Int(count))
            // 2^28 rows of 24 bytes, six times: far from an overflow.
            end += Int(count) * part.rowBytes
        }
        let length = Int(bytes[88])
        guard end == bytes.count, length <= Self.maxBuildIDBytes else { return nil }
        buildID = Array(bytes[89..<89 + length])
    }

    /// Four lanes of multiply and rotate: a damaged disk is noticed, at a few gigabytes a second. (No defence against a forger, who would
    /// have to write into the folder, and gains only wrong names.)
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var lanes: (UInt64, UInt64, UInt64, UInt64) = (1, 2, 3, 4)
        func mixed(_ lane: UInt64, _ word: UInt64) -> UInt64 {
            let value = (lane ^ word) &* 0x9e37_79b9_7f4a_7c15
            return value << 29 | value >> 35
        }
        func word(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        var offset = 0
        while offset &+ 32 <= bytes.count {
            lanes.0 = mixed(lanes.0, word(offset))
            lanes.1 = mixed(lanes.1, word(offset &+ 8))
            lanes.2 = mixed(lanes.2, word(offset &+ 16))
            lanes.3 = mixed(lanes.3, word(offset &+ 24))
            offset &+= 32
        }
        var rest = mixed(mixed(lanes.0, lanes.1), mixed(lanes.2, lanes.3))
        for byte in bytes[offset...] { rest = mixed(rest, UInt64(byte)) }
        return mixed(rest, UInt64(bytes.count))
    }
}
