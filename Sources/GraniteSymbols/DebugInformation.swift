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
    let units: UnitTable
    /// Program headers that say where code is: a debug file's own may be of another layout after stripping.
    let image: ELFImage
    private(set) var isSound = true

    private static let maxChain = 128

    /// Decompresses the debug sections, if they are compressed: 36 to 68 ms for glibc's.
    /// Nil if there are none, or libdw refuses them.
    init?(_ object: ObjectFile, image: ELFImage, finder: DebugFileFinder) {
        guard object.hasDebugInformation, let dwarf = dwarf_begin_elf(object.elf, DWARF_C_READ, nil) else { return nil }
        let supplement = Self.supplement(of: dwarf, object: object, finder: finder)
        if supplement == nil, let link = AlternateLink(dwarf), link.isTargetThere(from: object) {
            // It is of another build, or no file. libdw would open it without a look at its build-id, or wait for whoever writes into it.
            dwarf_end(dwarf)
            return nil
        }
        self.object = object
        self.dwarf = dwarf
        self.supplement = supplement
        self.image = image
        self.units = UnitTable(dwarf, image: image, directory: object.path.directory)
    }

    deinit {
        dwarf_end(dwarf)
        if let supplement { dwarf_end(supplement.dwarf) }
    }

    /// The common file that `.gnu_debugaltlink` names, from a store or where the link points to; never of another build.
    /// nil if there is no link, or nothing is there: libdw then looks itself, and finds as little.
    private static func supplement(
        of dwarf: OpaquePointer, object: ObjectFile, finder: DebugFileFinder
    ) -> (object: ObjectFile, dwarf: OpaquePointer)? {
        guard let link = AlternateLink(dwarf), let common = finder.file(alternate: link, of: object),
            let alternate = dwarf_begin_elf(common.elf, DWARF_C_READ, nil)
        else { return nil }
        dwarf_setalt(dwarf, alternate)
        return (common, alternate)
    }

    /// False if a part of it is elsewhere, and isn't there: an index made of it would lack names for good.
    var isWhole: Bool {
        if AlternateLink(dwarf) != nil, supplement == nil { return false }
        var whole = true
        units.forEachPiece { _, _, unit in whole = whole && !unit.lacksBody }
        return whole
    }

    var isEmpty: Bool { units.isEmpty }

    /// Reads all units. `isCommonPart`: dwz's file has no code of its own.
    /// - Returns: what is wrong, each the end of a sentence that begins with the file's name.
    func problems(isCommonPart: Bool) -> [String] {
        if units.isEmpty, !isCommonPart {
            return ["has debug information of no function: it is damaged or not for this machine."]
        }
        var damaged = 0
        var lacking = 0
        var seen: Set<ObjectIdentifier> = []
        units.forEachPiece { _, _, unit in
            guard seen.insert(ObjectIdentifier(unit)).inserted else { return }
            var lines: OpaquePointer?
            var count = 0
            let hasLines = dwarf_hasattr(&unit.entry, UInt32(DW_AT_stmt_list)) != 0
            if !unit.functions(in: image).isSound || (hasLines && dwarf_getsrclines(&unit.entry, &lines, &count) != 0) {
                damaged += 1
            }
            if unit.lacksBody { lacking += 1 }
        }
        var problems: [String] = []
        if damaged > 0 { problems.append("has malformed debug information in \(damaged) of \(seen.count) units.") }
        if lacking > 0 { problems.append("lacks the .dwo files of \(lacking) of \(seen.count) units.") }
        if let link = AlternateLink(dwarf), supplement == nil {
            problems.append(
                "needs dwz's common file with build-id \(BuildID.text(link.buildID)), which is not in the store.")
        }
        return problems
    }

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
            guard dwarf_offdie(unit.bodyDwarf, node.entry, &entry) != nil else { break }
            let inlined = Int(dwarf_tag(&entry)) == DW_TAG_inlined_subroutine
            answer.functions.append(
                Function(
                    linkageName: linkageName(of: &entry).map { String(boundedCString: $0) },
                    name: text(DW_AT_name, of: &entry).map { String(boundedCString: $0) }, inlined: inlined,
                    language: unit.language, position: position))
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
        let call = call(of: &entry, in: unit)
        return Position(path: call.path, line: call.line, column: call.column)
    }

    func call(of entry: inout Dwarf_Die, in unit: CompileUnit) -> (
        path: UnsafePointer<CChar>?, line: Int, column: Int
    ) {
        var files: OpaquePointer?
        var count = 0
        var path: UnsafePointer<CChar>?
        // Before DWARF 5 file 0 means "none".
        if let index = integer(DW_AT_call_file, of: &entry), dwarf_getsrcfiles(&unit.body, &files, &count) == 0,
            let files,
            index < count, index > 0 || unit.version >= 5
        {
            path = dwarf_filesrc(files, index, nil, nil)
        }
        return (
            path, integer(DW_AT_call_line, of: &entry) ?? 0, integer(DW_AT_call_column, of: &entry) ?? 0
        )
    }

    func linkageName(of entry: inout Dwarf_Die) -> UnsafePointer<CChar>? {
        text(DW_AT_linkage_name, of: &entry) ?? text(DW_AT_MIPS_linkage_name, of: &entry)
    }

    /// Of the entry, or of the one it is a copy of: libdw follows at most 16 `DW_AT_abstract_origin` and `DW_AT_specification`.
    func text(_ attribute: Int, of entry: inout Dwarf_Die) -> UnsafePointer<CChar>? {
        var found = Dwarf_Attribute()
        guard dwarf_attr_integrate(&entry, UInt32(attribute), &found) != nil, let text = dwarf_formstring(&found),
            text.pointee != 0
        else { return nil }
        return text
    }

    private func integer(_ attribute: Int, of entry: inout Dwarf_Die) -> Int? {
        var found = Dwarf_Attribute()
        var value: Dwarf_Word = 0
        guard dwarf_attr(&entry, UInt32(attribute), &found) != nil, dwarf_formudata(&found, &value) == 0 else {
            return nil
        }
        return Int(exactly: value)
    }
}

extension DebugInformation.Position {
    fileprivate init(path: UnsafePointer<CChar>?, line: Int, column: Int) {
        self.init(file: path.map { String(boundedCString: $0) }, rawLine: line, column: column)
    }

    /// Line 0 is code that belongs to no line (DWARF 5, section 6.2.2), and Swift names a file for it that doesn't exist.
    init(file: String?, rawLine line: Int, column: Int) {
        guard let file, !file.hasSuffix("<compiler-generated>"), file != "???" else { return }
        self.file = file
        self.line = line > 0 ? line : nil
        self.column = line > 0 && column > 0 ? column : nil
    }
}
