// Defines the compile units of an object by address. Our own table, because swiftc and clang write no `.debug_aranges`,
// without which libdw would search every unit for every address.

import CElfutils

/// A compile unit whose functions are read when an address in it is first asked for.
final class CompileUnit {
    var entry: Dwarf_Die
    /// Version of DWARF that it is written in.
    let version: Int
    /// From its header to its end.
    let byteCount: UInt64

    private(set) lazy var language: SourceLanguage? = SourceLanguage(code: Int(dwarf_srclang(&entry)))

    init(entry: Dwarf_Die, version: Int, byteCount: UInt64) {
        self.entry = entry
        self.version = version
        self.byteCount = byteCount
    }

    private var table: FunctionTable?

    func functions(in image: ELFImage) -> FunctionTable {
        if let table { return table }
        let read = FunctionTable(unit: entry, byteCount: byteCount, image: image)
        table = read
        return read
    }
}

/// All units of one object that have code.
struct UnitTable {
    private var units: [CompileUnit] = []
    private var map = AddressMap()

    private static let maxUnits = 1 << 20
    private static let maxRanges = 1 << 22

    /// Reads each unit's header and ranges, not its functions.
    init(_ dwarf: OpaquePointer, image: ELFImage) {
        var ranges: [AddressRange] = []
        var offset: Dwarf_Off = 0
        while units.count < Self.maxUnits, ranges.count < Self.maxRanges {
            var next: Dwarf_Off = 0
            var headerSize = 0
            var version: Dwarf_Half = 0
            guard dwarf_next_unit(dwarf, offset, &next, &headerSize, &version, nil, nil, nil, nil, nil) == 0, next > offset else { break }
            var entry = Dwarf_Die()
            if dwarf_offdie(dwarf, offset &+ UInt64(headerSize), &entry) != nil, Self.hasCode(dwarf_tag(&entry)) {
                let index = Int32(units.count)
                let before = ranges.count
                forEachRange(of: &entry, in: image, limit: Self.maxRanges - before) { low, high in
                    ranges.append(AddressRange(low: low, high: high, value: index, depth: 0))
                }
                if ranges.count > before {
                    units.append(CompileUnit(entry: entry, version: Int(version), byteCount: next - offset))
                }
            }
            offset = next
        }
        map = AddressMap(ranges)
    }

    func unit(at address: UInt64) -> CompileUnit? { map.value(at: address).map { units[$0] } }

    var isEmpty: Bool { units.isEmpty }

    /// Partial and type units are only referred to by others.
    private static func hasCode(_ tag: Int32) -> Bool {
        Int(tag) == DW_TAG_compile_unit || Int(tag) == DW_TAG_skeleton_unit
    }
}
