// Defines the answers that DWARF gives for one address: the chain of inlined functions, and a source position for each.

import CElfutils

/// The debug information of one object, read on demand. Used by one thread.
final class DebugInformation {
    /// A function as DWARF knows it; names are not demangled.
    struct Function {
        /// `DW_AT_linkage_name`.
        var linkageName: String?
        /// `DW_AT_name`.
        var name: String?
        var inlined: Bool
        var language: SourceLanguage?
        var position: Position
    }

    struct Position {
        var file: String?
        var line: Int?
        var column: Int?
    }

    struct Answer {
        /// Innermost first. Empty if no function covers the address; `position` may still be known.
        var functions: [Function] = []
        var position = Position()
        var language: SourceLanguage?
    }

    private let object: ObjectFile
    private let dwarf: OpaquePointer
    /// What dwz(1) moved out of several debug files into a common one.
    private let supplement: (object: ObjectFile, dwarf: OpaquePointer)?
    private let units: UnitTable
    /// Program headers that say where code is: a debug file's own may be of another layout after stripping.
    private let image: ELFImage
    private(set) var isSound = true

    private static let maxChain = 128

    /// Decompresses the debug sections, if they are compressed: 36 to 68 ms for glibc's.
    /// Nil if there are none, or libdw refuses them.
    init?(_ object: ObjectFile, image: ELFImage, finder: DebugFileFinder) {
        guard object.hasDebugInformation, let dwarf = dwarf_begin_elf(object.elf, DWARF_C_READ, nil) else { return nil }
        self.object = object
        self.dwarf = dwarf
        self.supplement = Self.supplement(of: dwarf, finder: finder)
        self.image = image
        self.units = UnitTable(dwarf, image: image)
    }

    deinit {
        dwarf_end(dwarf)
        if let supplement { dwarf_end(supplement.dwarf) }
    }

    /// The common file from a store. Otherwise libdw looks for it itself: where `.gnu_debugaltlink` points to, and in
    /// /usr/lib/debug/.build-id.
    private static func supplement(of dwarf: OpaquePointer, finder: DebugFileFinder) -> (object: ObjectFile, dwarf: OpaquePointer)? {
        var name: UnsafePointer<CChar>?
        var bytes: UnsafeRawPointer?
        let count = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &bytes)
        guard let bytes, (1...64).contains(count),
            let object = finder.file(buildID: [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))),
            let common = dwarf_begin_elf(object.elf, DWARF_C_READ, nil)
        else { return nil }
        dwarf_setalt(dwarf, common)
        return (object, common)
    }

    var isEmpty: Bool { units.isEmpty }

    /// `address` is the file's, without bias.
    func answer(at address: UInt64) -> Answer {
        guard let unit = units.unit(at: address) else { return Answer() }
        let functions = unit.functions(in: image)
        isSound = isSound && functions.isSound
        var answer = Answer(position: linePosition(at: address, in: unit), language: unit.language)
        var position = answer.position
        var next = functions.innermost(at: address)
        while let index = next, answer.functions.count < Self.maxChain {
            let node = functions.nodes[index]
            var entry = Dwarf_Die()
            guard dwarf_offdie(dwarf, node.entry, &entry) != nil else { break }
            let inlined = Int(dwarf_tag(&entry)) == DW_TAG_inlined_subroutine
            answer.functions.append(
                Function(
                    linkageName: string(DW_AT_linkage_name, of: &entry) ?? string(DW_AT_MIPS_linkage_name, of: &entry),
                    name: string(DW_AT_name, of: &entry), inlined: inlined, language: unit.language, position: position))
            guard inlined else { break }
            position = callPosition(of: &entry, in: unit)
            next = node.parent < 0 ? nil : Int(node.parent)
        }
        return answer
    }

    /// The row of the line table that covers the address.
    private func linePosition(at address: UInt64, in unit: CompileUnit) -> Position {
        guard let row = dwarf_getsrc_die(&unit.entry, address) else { return Position() }
        var line: Int32 = 0
        var column: Int32 = 0
        dwarf_lineno(row, &line)
        dwarf_linecol(row, &column)
        return Position(path: dwarf_linesrc(row, nil, nil), line: Int(line), column: Int(column))
    }

    /// Where an inlined function was called (DWARF 5, section 3.3.8.2).
    private func callPosition(of entry: inout Dwarf_Die, in unit: CompileUnit) -> Position {
        var files: OpaquePointer?
        var count = 0
        var path: UnsafePointer<CChar>?
        // Before DWARF 5 file 0 means "none".
        if let index = integer(DW_AT_call_file, of: &entry), dwarf_getsrcfiles(&unit.entry, &files, &count) == 0, let files,
            index < count, index > 0 || unit.version >= 5
        {
            path = dwarf_filesrc(files, index, nil, nil)
        }
        return Position(
            path: path, line: integer(DW_AT_call_line, of: &entry) ?? 0, column: integer(DW_AT_call_column, of: &entry) ?? 0)
    }

    /// Of the entry, or of the one it is a copy of: libdw follows at most 16 `DW_AT_abstract_origin` and `DW_AT_specification`.
    private func string(_ attribute: Int, of entry: inout Dwarf_Die) -> String? {
        var found = Dwarf_Attribute()
        guard dwarf_attr_integrate(&entry, UInt32(attribute), &found) != nil, let text = dwarf_formstring(&found), text.pointee != 0
        else { return nil }
        return String(boundedCString: text)
    }

    private func integer(_ attribute: Int, of entry: inout Dwarf_Die) -> Int? {
        var found = Dwarf_Attribute()
        var value: Dwarf_Word = 0
        guard dwarf_attr(&entry, UInt32(attribute), &found) != nil, dwarf_formudata(&found, &value) == 0 else { return nil }
        return Int(exactly: value)
    }
}

extension DebugInformation.Position {
    /// Line 0 is code that belongs to no line (DWARF 5, section 6.2.2), and Swift names a file for it that doesn't exist.
    fileprivate init(path: UnsafePointer<CChar>?, line: Int, column: Int) {
        let file = path.map { String(boundedCString: $0) }
        guard let file, !file.hasSuffix("<compiler-generated>"), file != "???" else { return }
        self.file = file
        self.line = line > 0 ? line : nil
        self.column = line > 0 && column > 0 ? column : nil
    }
}
