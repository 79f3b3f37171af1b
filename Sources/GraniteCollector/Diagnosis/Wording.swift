// Defines how functions, addresses and sizes are named in sentences. Pure.

import GraniteReport

enum Wording {
    /// `0x18`: short, for sentences.
    static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// `strlen` for `__strlen_evex`, `level1` for `level1(int)`; nil if no innermost native frame has a name.
    static func function(_ frames: [Frame]) -> String? {
        for frame in frames.prefix(4) where frame.kind == .native {
            guard let symbol = frame.symbol, !symbol.hasPrefix("Swift runtime failure") else { continue }
            return bare(symbol)
        }
        return nil
    }

    /// Without the underscores of internal names and the suffix of the CPU's variant that the loader chose (ifunc).
    static func bare(_ symbol: String) -> String {
        var name = Substring(symbol)
        guard name.hasPrefix("__") else { return symbol }
        while name.hasPrefix("_") { name = name.dropFirst() }
        if name.hasPrefix("GI_") { name = name.dropFirst(3) }
        while name.hasPrefix("_") { name = name.dropFirst() }
        for variant in ["_evex", "_avx", "_sse", "_erms", "_unaligned"] {
            if let range = name.range(of: variant) { name = name[..<range] }
        }
        return name.isEmpty ? symbol : String(name)
    }

    /// `native_crash (app.py:14)`.
    static func python(_ frame: Frame) -> String {
        let name = frame.symbol ?? "?"
        guard let file = frame.file else { return name }
        return "\(name) (\(fileName(file))\(frame.line.map { ":\($0)" } ?? ""))"
    }

    /// `app.py`; `ctypes/__init__.py` where the name alone says nothing.
    static func fileName(_ path: String) -> String {
        let parts = path.split(separator: "/")
        guard let last = parts.last else { return path }
        return last == "__init__.py" && parts.count > 1 ? "\(parts[parts.count - 2])/\(last)" : String(last)
    }

    /// How Python comes into it: `that Python passed to ctypes.string_at`, `in a call from Python's view (app.py:14)`.
    static func pythonClause(_ frames: [Frame]) -> String? {
        guard let position = frames.firstIndex(where: { $0.kind == .python }) else { return nil }
        let python = frames[position]
        let between = frames[..<position]
        let throughCtypes = between.contains { frame in
            frame.symbol?.hasPrefix("ffi_call") == true || frame.module?.contains("_ctypes") == true
                || frame.module?.contains("libffi") == true
        }
        if throughCtypes, python.file?.hasSuffix("ctypes/__init__.py") == true {
            let caller = frames[(position + 1)...].first { $0.kind == .python }
            return "that Python passed to ctypes.\(python.symbol ?? "?")" + (caller.map { " in \(Wording.python($0))" } ?? "")
        }
        return "in a call from Python's \(Wording.python(python))" + (throughCtypes ? " through ctypes" : "")
    }

    /// `8.0 MiB`.
    static func size(_ bytes: UInt64) -> String {
        if bytes < 1 << 10 { return "\(bytes) bytes" }
        let (unit, name): (UInt64, String) =
            bytes < 1 << 20 ? (1 << 10, "KiB") : bytes < 1 << 30 ? (1 << 20, "MiB") : (1 << 30, "GiB")
        let tenths = bytes / unit * 10 + bytes % unit * 10 / unit
        return tenths % 10 == 0 ? "\(tenths / 10) \(name)" : "\(tenths / 10).\(tenths % 10) \(name)"
    }

    /// The sentence without a full stop or line break at its end.
    static func trimmed(_ text: some StringProtocol) -> String {
        var text = text[...]
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        while let first = text.first, first.isWhitespace { text = text.dropFirst() }
        return String(text)
    }

    /// A sentence with its full stop.
    static func sentence(_ text: String) -> String {
        guard let last = text.last else { return text }
        return ".!?\"".contains(last) ? text : text + "."
    }
}

extension Substring {
    /// Position of the first occurrence of a short text.
    fileprivate func range(of text: String) -> Substring.Index? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(text) { return index }
            index = self.index(after: index)
        }
        return nil
    }
}
