// Defines the functions of one compile unit, inlined ones included, by address. Our own walk, because
// `dwarf_getscopes` finds no function inside Swift's modules and types, and follows no inline chain to its end.

import CElfutils

/// Which functions of a unit cover an address, innermost first through `parent`.
struct FunctionTable {
    struct Node {
        /// Of the subprogram's or inlined subroutine's entry in `.debug_info`.
        var entry: Dwarf_Off
        /// Into `nodes`: what it was inlined into; -1 for a physical function.
        var parent: Int32
    }

    private(set) var nodes: [Node] = []
    private(set) var map = AddressMap()
    /// False if entries were left out because the tree contradicts itself.
    private(set) var isSound = true

    /// Walks the entries below `unit`, which take `byteCount` bytes. Ranges outside of executable segments are dropped:
    /// linkers leave address 0 behind for functions they removed.
    init(unit: Dwarf_Die, byteCount: UInt64, image: ELFImage) {
        var walk = Walk(budget: byteCount, image: image)
        walk.run(from: unit)
        nodes = walk.nodes
        map = AddressMap(walk.ranges)
        isSound = walk.isSound
    }

    /// The innermost function at the address, as an index into `nodes`.
    func innermost(at address: UInt64) -> Int? { map.value(at: address) }
}

/// The walk over a unit's tree: no recursion, each step forwards in the file, and no more steps than the unit has bytes,
/// so that sibling references which form a circle or a diamond end.
private struct Walk {
    private struct Level {
        var entry: Dwarf_Die
        var offset: Dwarf_Off
        /// The function around the entries of this level; -1 if none.
        var function: Int32
        /// How many functions are around.
        var depth: Int32
        /// How many entries of any kind are around.
        var nesting: Int
    }

    var nodes: [FunctionTable.Node] = []
    var ranges: [AddressRange] = []
    var isSound = true
    private var budget: UInt64
    private let image: ELFImage

    /// Bounds the time too: without sibling references libdw finds the next entry by stepping over all that is within.
    private static let maxNesting = 256
    private static let maxRanges = 1 << 20

    init(budget: UInt64, image: ELFImage) {
        self.budget = budget
        self.image = image
    }

    mutating func run(from unit: Dwarf_Die) {
        var levels: [Level] = []
        var unit = unit
        descend(from: &unit, into: &levels, function: -1, depth: 0, nesting: 0)
        while let level = levels.popLast() {
            guard budget > 0, ranges.count < Self.maxRanges else {
                isSound = false
                return
            }
            budget -= 1
            var entry = level.entry
            advance(level, in: &levels)
            visit(&entry, at: level, in: &levels)
        }
    }

    /// Puts the level back with its next entry, if there is one.
    private mutating func advance(_ level: Level, in levels: inout [Level]) {
        var next = Dwarf_Die()
        var current = level.entry
        let result = dwarf_siblingof(&current, &next)
        guard result <= 0 else { return }
        let offset = dwarf_dieoffset(&next)
        guard result == 0, offset > level.offset, offset != Dwarf_Off.max else {
            isSound = false
            return
        }
        var level = level
        level.entry = next
        level.offset = offset
        levels.append(level)
    }

    private mutating func visit(_ entry: inout Dwarf_Die, at level: Level, in levels: inout [Level]) {
        var function = level.function
        var depth = level.depth
        switch Int(dwarf_tag(&entry)) {
        case DW_TAG_subprogram:
            // Without an address it is a declaration or the pattern of inlined copies; local classes' methods may be within.
            let found = append(&entry, parent: -1, depth: depth)
            function = found ?? -1
            depth += found == nil ? 0 : 1
        case DW_TAG_inlined_subroutine:
            guard let found = append(&entry, parent: function, depth: depth) else { return }
            function = found
            depth += 1
        case DW_TAG_lexical_block, DW_TAG_try_block, DW_TAG_catch_block, DW_TAG_module, DW_TAG_namespace, DW_TAG_structure_type,
            DW_TAG_class_type, DW_TAG_enumeration_type, DW_TAG_union_type, DW_TAG_interface_type:
            break
        default:
            return
        }
        descend(from: &entry, into: &levels, function: function, depth: depth, nesting: level.nesting + 1)
    }

    private mutating func descend(from entry: inout Dwarf_Die, into levels: inout [Level], function: Int32, depth: Int32, nesting: Int) {
        guard dwarf_haschildren(&entry) == 1 else { return }
        var child = Dwarf_Die()
        let parent = dwarf_dieoffset(&entry)
        let result = dwarf_child(&entry, &child)
        guard result <= 0 else { return }
        let offset = dwarf_dieoffset(&child)
        guard result == 0, nesting < Self.maxNesting, offset > parent, offset != Dwarf_Off.max else {
            isSound = false
            return
        }
        levels.append(Level(entry: child, offset: offset, function: function, depth: depth, nesting: nesting))
    }

    /// Adds a function if it has code. An inlined copy needs a function around it.
    private mutating func append(_ entry: inout Dwarf_Die, parent: Int32, depth: Int32) -> Int32? {
        let index = Int32(nodes.count)
        let before = ranges.count
        forEachRange(of: &entry, in: image, limit: Self.maxRanges - before) { low, high in
            ranges.append(AddressRange(low: low, high: high, value: index, depth: depth))
        }
        guard ranges.count > before else { return nil }
        nodes.append(FunctionTable.Node(entry: dwarf_dieoffset(&entry), parent: parent))
        return index
    }
}

/// The code of an entry (DWARF 5, section 2.17): DW_AT_low_pc and DW_AT_high_pc, or DW_AT_ranges.
func forEachRange(of entry: inout Dwarf_Die, in image: ELFImage, limit: Int, _ body: (_ low: UInt64, _ high: UInt64) -> Void) {
    var base: Dwarf_Addr = 0
    var low: Dwarf_Addr = 0
    var high: Dwarf_Addr = 0
    var offset = 0
    for _ in 0..<max(0, limit) {
        offset = dwarf_ranges(&entry, offset, &base, &low, &high)
        guard offset > 0 else { return }
        if low < high, image.isExecutable(low) { body(low, high) }
    }
}
