// Defines how functions, addresses and sizes are named in sentences. Pure.

import GraniteReport

enum Wording {
    /// `0x18`: short, for sentences.
    static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// `strlen` for `__strlen_evex`, `level1` for `level1(int)`; nil if no innermost native frame has a name.
    static func function(_ frames: [Frame]) -> String? {
        for frame in frames.prefix(4) where frame.kind == .native {
            guard let symbol = frame.symbol, !symbol.hasPrefix("Swift runtime failure") else { continue }
            return name(of: frame)
        }
        return nil
    }

    /// The canonical name of a native frame's function.
    static func name(of frame: Frame) -> String {
        frame.symbol.map { CanonicalSymbol.name($0, module: frame.module) } ?? "?"
    }

    /// Without the underscores of internal names and the suffix of the CPU's variant that the loader chose (ifunc).
    static func bare(_ symbol: String) -> String { CanonicalSymbol.name(symbol, module: "libc.so") }

    /// `native_crash (app.py:14)`.
    static func python(_ frame: Frame) -> String {
        let name = frame.symbol ?? "?"
        guard let file = frame.file else { return name }
        return "\(name) (\(SourcePath.name(file))\(frame.line.map { ":\($0)" } ?? ""))"
    }

    /// `thread "worker-1" (4711)`.
    static func thread(_ name: String, _ tid: Int) -> String {
        name.isEmpty ? "thread \(tid)" : "thread \"\(name)\" (\(tid))"
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
            return "that Python passed to ctypes.\(python.symbol ?? "?")"
                + (caller.map { " in \(Wording.python($0))" } ?? "")
        }
        return "in a call from Python's \(Wording.python(python))" + (throughCtypes ? " through ctypes" : "")
    }

    /// `1 byte`, `8 bytes`.
    static func count(_ number: UInt64, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

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
