// Makes the index of an object from its DWARF and its symbol table. Separate from SymbolIndex, because this reads foreign files in whole
// and takes its time; a reader of an index must not need any of it.

import CElfutils

struct SymbolIndexBuilder {
    /// Of the lines of one unit.
    private static let maxRows = 1 << 24

    private let maxBytes: Int
    /// Set for good once there is more than ``maxBytes``; from then on nothing is added, and all of it is thrown away.
    private var isFull = false
    private var rowBytes = 0

    private var parts: [[UInt32]] = Array(repeating: [], count: SymbolIndex.Part.allCases.count - 1)
    private var strings: [UInt8] = [0]
    private var offsetOfText: [String: UInt32] = [:]
    /// The same pointer into a string section is the same text: most rows share theirs.
    private var offsetOfPointer: [UnsafePointer<CChar>: UInt32] = [:]
    private var base: UInt64 = 0

    private init(maxBytes: Int) { self.maxBytes = maxBytes }

    /// The index as bytes; nil if it would be larger than `maxBytes`, if the debug information contradicts itself, lies more than 4 GiB apart, is not all there, or if there is
    /// none: then reading the object anew is better than believing an index.
    static func bytes(
        of debug: DebugInformation, symbols: SymbolTable?, buildID: [UInt8], maxBytes: Int = SymbolIndex.maxBytes
    )
        -> [UInt8]?
    {
        guard (1...SymbolIndexHeader.maxBuildIDBytes).contains(buildID.count), debug.isWhole else { return nil }
        var builder = SymbolIndexBuilder(maxBytes: maxBytes - SymbolIndex.headerBytes)
        guard builder.add(debug, lowestSymbol: symbols.flatMap { $0.isEmpty ? nil : $0.symbol(0).address }),
            builder.add(symbols)
        else { return nil }
        return builder.file(buildID)
    }

    private mutating func append(_ part: SymbolIndex.Part, _ row: UInt32...) {
        let bytes = row.count * MemoryLayout<UInt32>.size
        guard reserve(bytes) else { return }
        rowBytes += bytes
        parts[part.rawValue] += row
    }

    private mutating func reserve(_ bytes: Int) -> Bool {
        isFull = isFull || bytes > maxBytes - rowBytes - strings.count
        return !isFull
    }

    private mutating func add(_ debug: DebugInformation, lowestSymbol: UInt64?) -> Bool {
        var pieces: [(low: UInt64, high: UInt64, unit: CompileUnit)] = []
        debug.units.forEachPiece { pieces.append(($0, $1, $2)) }
        guard let first = pieces.first else { return false }
        // Below the first unit's code lie `_init` and its like.
        base = min(first.low, lowestSymbol ?? .max)
        var firstRow: [ObjectIdentifier: Int] = [:]
        var lines: [ObjectIdentifier: [Line]] = [:]
        var end: UInt32 = 0
        for piece in pieces {
            guard let low = UInt32(exactly: piece.low &- base), let high = UInt32(exactly: piece.high &- base) else {
                return false
            }
            if low > end { gap(from: end) }
            end = high
            let language = piece.unit.language.flatMap { SymbolIndex.languages.firstIndex(of: $0) }
            append(.units, low, language.map { UInt32($0) } ?? 0xff)
            let table = piece.unit.functions(in: debug.image)
            guard table.isSound else { return false }
            let key = ObjectIdentifier(piece.unit)
            if firstRow[key] == nil {
                firstRow[key] = parts[SymbolIndex.Part.functions.rawValue].count / 6
                addFunctions(table, of: piece.unit, debug)
                lines[key] = Self.lines(of: piece.unit)
            }
            addRanges(table, firstRow: firstRow[key] ?? 0, piece.low, piece.high)
            addLines(lines[key] ?? [], piece.low, piece.high)
            guard !isFull else { return false }
        }
        gap(from: end)
        return true
    }

    /// Nothing from here on, until the next row.
    private mutating func gap(from offset: UInt32) {
        append(.units, offset, .max)
        append(.functionRanges, offset, .max)
        append(.lines, offset, 0, .max, 0)
    }

    private mutating func addFunctions(_ table: FunctionTable, of unit: CompileUnit, _ debug: DebugInformation) {
        let first = UInt32(parts[SymbolIndex.Part.functions.rawValue].count / 6)
        for node in table.nodes where !isFull {
            var entry = Dwarf_Die()
            guard dwarf_offdie(unit.bodyDwarf, node.entry, &entry) != nil else {
                append(.functions, .max, 0, 0, 0, 0, 0)
                continue
            }
            let inlined = Int(dwarf_tag(&entry)) == DW_TAG_inlined_subroutine
            let call: (path: UnsafePointer<CChar>?, line: Int, column: Int) =
                inlined ? debug.call(of: &entry, in: unit) : (nil, 0, 0)
            append(
                .functions, node.parent < 0 ? .max : first + UInt32(node.parent),
                offset(debug.linkageName(of: &entry)), offset(debug.text(DW_AT_name, of: &entry)), offset(call.path),
                UInt32(clamping: call.line), UInt32(min(max(call.column, 0), 0xff_ffff)) | (inlined ? 1 << 24 : 0))
        }
    }

    private mutating func addRanges(_ table: FunctionTable, firstRow: Int, _ low: UInt64, _ high: UInt64) {
        var end = low
        append(.functionRanges, UInt32(truncatingIfNeeded: low - base), .max)
        table.map.forEachPiece(from: low, to: high) { start, stop, node in
            if start > end { append(.functionRanges, UInt32(truncatingIfNeeded: end - base), .max) }
            append(.functionRanges, UInt32(truncatingIfNeeded: start - base), UInt32(firstRow + node))
            end = stop
        }
        if end < high { append(.functionRanges, UInt32(truncatingIfNeeded: end - base), .max) }
    }

    private struct Line {
        var address: UInt64
        var row: OpaquePointer
    }

    /// In libdw's order, which sorts by address; the last of several rows at one address is what it finds.
    private static func lines(of unit: CompileUnit) -> [Line] {
        var table: OpaquePointer?
        var count = 0
        guard dwarf_getsrclines(&unit.entry, &table, &count) == 0, let table, count <= maxRows else { return [] }
        return (0..<count).compactMap { index in
            var address: Dwarf_Addr = 0
            guard let row = dwarf_onesrcline(table, index), dwarf_lineaddr(row, &address) == 0 else { return nil }
            return Line(address: address, row: row)
        }
    }

    /// As dwarf_getsrc_die finds them: the last row at or below an address, if it is no end of a sequence.
    private mutating func addLines(_ lines: [Line], _ low: UInt64, _ high: UInt64) {
        append(.lines, UInt32(truncatingIfNeeded: low - base), 0, .max, 0)
        var first = 0
        var last = lines.count
        while first < last {
            let middle = first + (last - first) / 2
            if lines[middle].address <= low { first = middle + 1 } else { last = middle }
        }
        for line in lines[max(0, first - 1)...] {
            guard line.address < high, !isFull else { break }
            let start = UInt32(truncatingIfNeeded: max(line.address, low) - base)
            var isEnd = false
            var number: Int32 = 0
            var column: Int32 = 0
            dwarf_lineendsequence(line.row, &isEnd)
            dwarf_lineno(line.row, &number)
            dwarf_linecol(line.row, &column)
            if isEnd {
                append(.lines, start, 0, .max, 0)
            } else {
                append(
                    .lines, start, offset(dwarf_linesrc(line.row, nil, nil)), UInt32(clamping: number),
                    UInt32(clamping: column))
            }
        }
    }

    private mutating func add(_ symbols: SymbolTable?) -> Bool {
        guard let symbols else { return true }
        for index in 0..<symbols.count where !isFull {
            let symbol = symbols.symbol(index)
            guard let address = UInt32(exactly: symbol.address &- base), let text = symbols.text(symbol.name) else {
                continue
            }
            append(
                .symbols, address, UInt32(clamping: symbol.size), offset(text),
                UInt32(symbol.rank) | (symbol.isOpenEnded ? 0x100 : 0))
        }
        return !isFull
    }

    private mutating func offset(_ text: UnsafePointer<CChar>?) -> UInt32 {
        guard let text else { return 0 }
        if let known = offsetOfPointer[text] { return known }
        let found = offset(String(boundedCString: text))
        offsetOfPointer[text] = found
        return found
    }

    private mutating func offset(_ text: String) -> UInt32 {
        guard !text.isEmpty else { return 0 }
        if let known = offsetOfText[text] { return known }
        guard let found = UInt32(exactly: strings.count), reserve(text.utf8.count + 1) else { return 0 }
        strings += text.utf8
        strings.append(0)
        offsetOfText[text] = found
        return found
    }

    private func file(_ buildID: [UInt8]) -> [UInt8] {
        let size = SymbolIndex.headerBytes + parts.reduce(0) { $0 + $1.count * 4 } + strings.count
        var file: [UInt8] = []
        file.reserveCapacity(size)
        func append<T: FixedWidthInteger>(_ value: T) { withUnsafeBytes(of: value.littleEndian) { file += $0 } }
        append(SymbolIndex.magic)
        append(UInt64(SymbolIndex.version))
        append(UInt64(0))
        append(UInt64(size))
        append(base)
        for part in SymbolIndex.Part.allCases where part != .strings {
            append(UInt64(parts[part.rawValue].count * 4 / part.rowBytes))
        }
        append(UInt64(strings.count))
        file.append(UInt8(buildID.count))
        file += buildID
        file += [UInt8](repeating: 0, count: SymbolIndex.headerBytes - file.count)
        for part in parts { part.withUnsafeBytes { file += $0 } }
        file += strings
        let checksum = file.withUnsafeBytes {
            SymbolIndexHeader.checksum(UnsafeRawBufferPointer(rebasing: $0.dropFirst(24)))
        }
        withUnsafeBytes(of: checksum.littleEndian) { bytes in
            for (index, byte) in bytes.enumerated() { file[16 + index] = byte }
        }
        return file
    }
}
