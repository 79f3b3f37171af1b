// Defines the languages that a report tells apart.

import CElfutils

enum SourceLanguage: String {
    case c = "C"
    case cplus = "C++"
    case swift = "Swift"
    case rust = "Rust"

    /// From `DW_AT_language` (DWARF 5, table 7.17, and dwarfstd.org's later codes); nil for any other.
    init?(code: Int) {
        switch code {
        case DW_LANG_C, DW_LANG_C89, DW_LANG_C99, DW_LANG_C11, 0x2c: self = .c  // 0x2c: C17
        case DW_LANG_C_plus_plus, DW_LANG_C_plus_plus_03, DW_LANG_C_plus_plus_11, DW_LANG_C_plus_plus_14, 0x2b, 0x3a: self = .cplus  // C++17, 23
        case DW_LANG_Swift: self = .swift
        case DW_LANG_Rust: self = .rust
        default: return nil
        }
    }

    /// A mangled name proves its language, also where it was inlined into another's unit (Swift inlines C); for a plain name
    /// the unit decides, and without one it is C, whose names are plain.
    static func of(mangling: Mangling?, unit: SourceLanguage?) -> String {
        mangling?.rawValue ?? (unit ?? .c).rawValue
    }
}
