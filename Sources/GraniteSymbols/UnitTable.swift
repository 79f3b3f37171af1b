// Defines the compile units of an object by address. Our own table, because swiftc and clang write no `.debug_aranges`,
// without which libdw would search every unit for every address.

import CElfutils

/// A compile unit whose functions are read when an address in it is first asked for.
final class CompileUnit {
    /// In the object itself. A skeleton (DWARF 5, section 3.1.2) has the lines; the rest is in a `.dwo` file.
    var entry: Dwarf_Die
    /// Version of DWARF that it is written in.
    let version: Int
    /// From its header to its end.
    let byteCount: UInt64

    /// Where the functions are: in the `.dwo` file that a skeleton names, if it is there, else in `entry`.
    lazy var body: Dwarf_Die = SplitUnit.body(of: &entry, objectDirectory: directory) ?? entry

    private(set) lazy var language: SourceLanguage? = SourceLanguage(code: Int(dwarf_srclang(&body)))

    /// True if it is a skeleton whose `.dwo` file was not found.
    private(set) lazy var lacksBody = SplitUnit.isSkeleton(&entry) && body.addr == entry.addr

    /// What its functions' offsets belong to.
    var bodyDwarf: OpaquePointer? { dwarf_cu_getdwarf(body.cu) }

    /// The object's.
    private let directory: String

    init(entry: Dwarf_Die, version: Int, byteCount: UInt64, directory: String) {
        self.directory = directory
        self.entry = entry
        self.version = version
        self.byteCount = byteCount
    }

    private var table: FunctionTable?

    func functions(in image: ELFImage) -> FunctionTable {
        if let table { return table }
        var bytes = byteCount
        if body.addr != entry.addr {
            // The walk's budget is the other file's unit, of which libdw tells no length: its whole section bounds it.
            bytes = SplitUnit.byteCount(of: body)
        }
        let read = FunctionTable(unit: body, byteCount: bytes, image: image)
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
    init(_ dwarf: OpaquePointer, image: ELFImage, directory: String) {
        var ranges: [AddressRange] = []
        var offset: Dwarf_Off = 0
        while units.count < Self.maxUnits, ranges.count < Self.maxRanges {
            var next: Dwarf_Off = 0
            var headerSize = 0
            var version: Dwarf_Half = 0
            guard dwarf_next_unit(dwarf, offset, &next, &headerSize, &version, nil, nil, nil, nil, nil) == 0,
                next > offset
            else { break }
            var entry = Dwarf_Die()
            if dwarf_offdie(dwarf, offset &+ UInt64(headerSize), &entry) != nil, Self.hasCode(dwarf_tag(&entry)) {
                let index = Int32(units.count)
                let before = ranges.count
                forEachRange(of: &entry, in: image, limit: Self.maxRanges - before) { low, high in
                    ranges.append(AddressRange(low: low, high: high, value: index, depth: 0))
                }
                if ranges.count > before {
                    units.append(
                        CompileUnit(entry: entry, version: Int(version), byteCount: next - offset, directory: directory)
                    )
                }
            }
            offset = next
        }
        map = AddressMap(ranges)
    }

    func unit(at address: UInt64) -> CompileUnit? { map.value(at: address).map { units[$0] } }

    var isEmpty: Bool { units.isEmpty }

    /// The pieces of code in ascending order, each with its unit.
    func forEachPiece(_ body: (_ low: UInt64, _ high: UInt64, _ unit: CompileUnit) -> Void) {
        map.forEachPiece { body($0, $1, units[$2]) }
    }

    /// Partial and type units are only referred to by others.
    private static func hasCode(_ tag: Int32) -> Bool {
        Int(tag) == DW_TAG_compile_unit || Int(tag) == DW_TAG_skeleton_unit
    }
}
