// Defines how mangled names become readable, and what language a mangled name belongs to.

import CDemangle

/// The readable form of a symbol-table name, and the language that its mangling proves (`Swift`, `C++`, `Rust`; nil for a
/// plain name). A name that cannot be demangled, or is longer than 4 KiB, comes back as it is. All is cut at 4 KiB.
/// Any thread; allocates.
package func demangled(_ raw: String) -> (name: String, language: String?) {
    // A stub of the procedure linkage table, `_Zfoo@plt`: the mark is ours, and stays.
    if raw.hasSuffix("@plt"), raw.utf8.count <= Mangling.maxNameBytes {
        let function = demangled(String(raw.dropLast(4)))
        return (function.name.limited(toBytes: Mangling.maxNameBytes - 4) + "@plt", function.language)
    }
    guard let mangling = Mangling(of: raw) else { return (raw.limited(toBytes: Mangling.maxNameBytes), nil) }
    return (mangling.demangle(raw) ?? raw.limited(toBytes: Mangling.maxNameBytes), mangling.rawValue)
}

/// The readable form of what `std::type_info::name()` says: `std::runtime_error` for `St13runtime_error`, `int` for `i`. A name that cannot
/// be demangled comes back as it is. Any thread; allocates.
package func demangledType(_ raw: String) -> String {
    // A bare type is no symbol; the name of its type_info is.
    let (symbol, label) = ("_ZTS" + raw, "typeinfo name for ")
    let name = demangled(symbol).name
    return name.hasPrefix(label) ? String(name.dropFirst(label.count)) : raw.limited(toBytes: Mangling.maxNameBytes)
}

/// The mangling schemes that are understood; the raw value is the language's name in a report.
enum Mangling: String {
    case swift = "Swift"
    case rust = "Rust"
    case cplus = "C++"

    /// A longer name is shown raw: the demanglers recurse, and no person reads on.
    static let maxNameBytes = 4096

    init?(of raw: String) {
        let name = raw.utf8
        if Self.swiftPrefixes.contains(where: { name.starts(with: $0.utf8) }) {
            self = .swift
        } else if name.starts(with: "_R".utf8), let third = name.dropFirst(2).first, Self.startsRustPath(third) {
            self = .rust
        } else if name.starts(with: "_ZN".utf8) && Self.endsInRustHash(name) {
            self = .rust
        } else if name.starts(with: "_Z".utf8) || name.starts(with: "_GLOBAL__".utf8) {
            self = .cplus
        } else {
            return nil
        }
    }

    /// Manglings of Swift 5 and later, the 4.x one, and embedded Swift's (docs/ABI/Mangling.rst).
    private static let swiftPrefixes = ["$s", "$S", "_$s", "_$S", "_T0", "$e", "_$e", "@__swiftmacro_"]

    /// RFC 2603: the path follows, whose tags are upper-case letters; a decimal number may precede it.
    private static func startsRustPath(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Rust's legacy mangling is C++'s with a last component `17h` and 16 hexadecimal digits; LLVM may append `.llvm.N`. Dots are in
    /// names, too: `$LT$pyo3..instance..Bound$LT$`.
    private static func endsInRustHash(_ name: String.UTF8View) -> Bool {
        guard let end = name.lastIndex(of: UInt8(ascii: "E")) else { return false }
        let rest = name[name.index(after: end)...]
        guard rest.isEmpty || rest.first == UInt8(ascii: ".") else { return false }
        let tail = Array(name[...end].suffix(20))
        guard tail.count == 20, tail.starts(with: "17h".utf8) else { return false }
        return tail[3..<19].allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    func demangle(_ raw: String) -> String? {
        guard raw.utf8.count <= Self.maxNameBytes else { return nil }
        let capacity = Self.maxNameBytes
        let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer -> String? in
            guard let out = buffer.baseAddress else { return nil }
            let length =
                switch self {
                case .swift: granite_demangle_swift(raw, raw.utf8.count, out, capacity)
                case .rust: granite_demangle_rust(raw, out, capacity)
                case .cplus: granite_demangle_cplus(raw, out, capacity)
                }
            guard length > 0 else { return nil }
            return String(decoding: UnsafeRawBufferPointer(start: out, count: length), as: UTF8.self)
        }
        return text == raw ? nil : text
    }
}

extension String {
    /// The first `count` bytes; a character that is cut becomes U+FFFD.
    func limited(toBytes count: Int) -> String {
        utf8.count <= count ? self : String(decoding: utf8.prefix(count), as: UTF8.self)
    }
}
