// Defines how a skeleton unit reaches the rest of itself, in a `.dwo` file (`-gsplit-dwarf`). libdw opens that file by the names that
// the debug information gives; here is checked first what lies there, because a FIFO would be waited for without end.

import CElfutils
import Glibc

enum SplitUnit {
    /// DWARF 5, section 7.5.1, table 7.2.
    private static let skeletonType: UInt8 = 4
    /// DW_AT_dwo_name of DWARF 5, and GCC's before it.
    private static let nameAttributes: [UInt32] = [0x76, 0x2130]
    private static let compilationDirectory: UInt32 = 0x1b

    static func isSkeleton(_ entry: inout Dwarf_Die) -> Bool {
        var type: UInt8 = 0
        return entry.cu != nil && dwarf_cu_info(entry.cu, nil, &type, nil, nil, nil, nil, nil) == 0
            && type == skeletonType
    }

    /// The unit's entry in the `.dwo` file; nil if `entry` is no skeleton or the file is not there. libdw checks its id.
    static func body(of entry: inout Dwarf_Die, objectDirectory: String) -> Dwarf_Die? {
        guard isSkeleton(&entry), candidates(&entry, objectDirectory).allSatisfy(isHarmless) else { return nil }
        var split = Dwarf_Die()
        var type: UInt8 = 0
        guard dwarf_cu_info(entry.cu, nil, &type, nil, &split, nil, nil, nil) == 0, split.addr != nil else {
            return nil
        }
        return split
    }

    /// Bytes of `.debug_info.dwo` of the file that holds the entry: more than any walk of it may take steps.
    static func byteCount(of body: Dwarf_Die) -> UInt64 {
        guard let elf = dwarf_getelf(dwarf_cu_getdwarf(body.cu)) else { return 0 }
        var size = 0
        _ = elf_rawfile(elf, &size)
        return UInt64(max(0, size))
    }

    /// Where libdw looks (libdw/libdw_find_split_unit.c): beside the object, and below DW_AT_comp_dir.
    private static func candidates(_ entry: inout Dwarf_Die, _ objectDirectory: String) -> [String] {
        guard let name = text(nameAttributes[0], of: &entry) ?? text(nameAttributes[1], of: &entry) else { return [] }
        if name.hasPrefix("/") { return [name] }
        return [objectDirectory + "/" + name]
            + (text(compilationDirectory, of: &entry).map { ["\($0)/\(name)"] } ?? [])
    }

    private static func text(_ attribute: UInt32, of entry: inout Dwarf_Die) -> String? {
        var found = Dwarf_Attribute()
        return dwarf_attr(&entry, attribute, &found).flatMap { dwarf_formstring($0) }.map { String(boundedCString: $0) }
    }

    /// A regular file or nothing.
    private static func isHarmless(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFREG
    }
}
