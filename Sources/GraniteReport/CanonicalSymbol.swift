// Defines the name of a native function without what differs between builds and machines of the same source: a bug keeps its name.

package enum CanonicalSymbol {
    /// `strlen` of libc's `__strlen_evex`, `f` of `f.constprop.0`, `f.cold`, `f@@V_1.2` and `f+0x12`, and Rust names without their hash.
    package static func name(_ symbol: String, module: String? = nil) -> String {
        var name = Substring(symbol)
        if let offset = name.range(ofLast: "+0x"), name[offset...].dropFirst(3).allSatisfy(\.isHexDigit) {
            name = name[..<offset]
        }
        if let clone = name.range(ofLast: " [clone ") { name = name[..<clone] }
        if name.utf8.count > 19, let hash = name.range(ofLast: "::h"), name[hash...].utf8.count == 19,
            name[hash...].dropFirst(3).allSatisfy(\.isHexDigit)
        {
            name = name[..<hash]
        }
        // Only plain names: an operator or a Swift type may contain any of these characters.
        if name.utf8.allSatisfy({ $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "(") }) {
            if let version = name.firstIndex(of: "@"), version > name.startIndex { name = name[..<version] }
            if let mark = compilerMarks.compactMap({ name.range(ofLast: $0) }).min(), mark > name.startIndex {
                name = name[..<mark]
            }
        }
        if let module, isLibc(module) { return libcName(name) }
        return String(name)
    }

    /// True for the objects of glibc, whose names this type knows.
    package static func isLibc(_ module: String) -> Bool {
        let file = module.split(separator: "/").last ?? ""
        return file.hasPrefix("libc.so") || file.hasPrefix("libc-2") || file.hasPrefix("libm.so")
            || file.hasPrefix("libpthread")
    }

    /// What GCC, clang and the linker add to the name of a part or copy of a function.
    private static let compilerMarks = [".cold", ".part.", ".constprop.", ".isra.", ".lto_priv.", ".llvm."]

    /// glibc picks one of several implementations by the CPU (`sysdeps/x86_64/multiarch`).
    private static let variants: Set<Substring> = [
        "evex", "evex512", "avx", "avx2", "avx512", "sse2", "sse3", "sse4", "ssse3", "sse42", "unaligned", "erms",
        "rtm", "no", "vzeroupper",
        "bsf", "slow", "back", "fma", "fma4", "generic", "neon", "sve", "mops",
    ]

    private static func libcName(_ symbol: Substring) -> String {
        var parts = symbol.drop { $0 == "_" }.split(separator: "_")
        if parts.first == "GI", parts.count > 1 {
            parts.removeFirst()
            return parts.joined(separator: "_")
        }
        let count = parts.count
        while parts.count > 1, let last = parts.last, variants.contains(last) { parts.removeLast() }
        return parts.count < count ? parts.joined(separator: "_") : String(symbol)
    }
}

extension Substring {
    /// Where the last occurrence of `text` begins.
    fileprivate func range(ofLast text: String) -> Index? {
        let wanted = Array(text.utf8)
        var start = utf8.endIndex
        while start > utf8.startIndex {
            start = utf8.index(before: start)
            if utf8[start...].starts(with: wanted) { return start }
        }
        return nil
    }
}
