// Defines what a file is worth as a source of symbols: what a symbol store's list shows, and what decides whether a file is taken.

import CElfutils

/// What can be read from one ELF file.
package struct SymbolContents: OptionSet, Sendable, Hashable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// Functions, inlined functions and lines.
    package static let dwarf = SymbolContents(rawValue: 1)
    /// `.symtab`: all functions by name.
    package static let symtab = SymbolContents(rawValue: 2)
    /// `.gnu_debugaltlink`: a part of the DWARF is in a file that dwz(1) made, which the store needs, too.
    package static let dwzLink = SymbolContents(rawValue: 4)
    /// `.gnu_debugdata`.
    package static let miniDebugInfo = SymbolContents(rawValue: 8)
    /// A file that can run or be loaded, not one of debug information alone.
    package static let code = SymbolContents(rawValue: 16)

    /// `dwarf, symtab`.
    package var words: String {
        let names: [(SymbolContents, String)] = [
            (.dwarf, "dwarf"), (.symtab, "symtab"), (.dwzLink, "dwz link"), (.miniDebugInfo, "minidebuginfo"),
            (.code, "code"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: ", ")
    }
}

extension ObjectFile {
    var contents: SymbolContents {
        var contents: SymbolContents = hasDebugInformation ? .dwarf : []
        _ = section { section in
            guard section.hasContent else { return false }
            if section.header.sh_type == UInt32(SHT_SYMTAB) { contents.insert(.symtab) }
            if section.name == ".gnu_debugaltlink" { contents.insert(.dwzLink) }
            if section.name == ".gnu_debugdata" { contents.insert(.miniDebugInfo) }
            if section.header.sh_flags & UInt64(SHF_EXECINSTR) != 0 { contents.insert(.code) }
            return false
        }
        return contents
    }
}
