// Defines how a report becomes the gist that a log line carries.

extension CrashReport {
    /// Frames named in a summary.
    private static let topLimit = 5

    /// The gist. `path` is where the report is stored, nil if it could not be.
    package func summary(path: String?) -> CrashSummary {
        CrashSummary(
            id: id, kind: kind?.rawValue ?? "unknown", reason: reason ?? "No reason is known.",
            category: diagnosis?.category,
            confidence: diagnosis?.confidence, request: request, memory: tellingMemory, top: topFrames,
            fingerprint: fingerprint?.hash,
            complete: capture?.incomplete != true, report: path)
    }

    /// Memory is told of where the process could not say itself why it ended, and where it ran into a limit.
    private var tellingMemory: String? {
        guard threads == nil || threads?.isEmpty == true else { return nil }
        let peak = process?.resources?.maxRSSBytes ?? 0
        guard let memory = process?.memory, memory.isTelling(peak: peak) else { return nil }
        return memory.phrase(peak: peak)
    }

    /// The innermost function, then the Python and application functions around it, at most 5: `strlen`,
    /// `string_at (ctypes/__init__.py:519)`, `native_crash (app.py:14)`.
    package var topFrames: [String] {
        guard let thread = crashedThread, kind != .growth else { return [] }
        let frames = (thread.frames ?? []) + (thread.unmergedPythonFrames ?? [])
        let meaningful = frames.filter { $0.role == .code }
        guard let first = meaningful.first ?? frames.first else { return [] }
        let others = meaningful.dropFirst()
        var chosen = others.filter { $0.kind == .python || $0.inApp == true }
        // Frameworks around the application say nothing about this crash.
        let lastInApp =
            chosen.lastIndex { $0.inApp == true && $0.kind == .python } ?? chosen.lastIndex { $0.inApp == true }
        if let lastInApp { chosen.removeSubrange((lastInApp + 1)...) }
        if chosen.isEmpty { chosen = Array(others) }
        return ([first] + chosen).prefix(Self.topLimit).map(\.shortDescription)
    }
}

extension Frame {
    /// The function, and file and line where they are known: `native_crash (app.py:14)`; for a native one without: `strlen`.
    package var shortDescription: String {
        guard let symbol else {
            return module.map { "\(SourcePath.name($0))+\(offset.map { "0x" + String($0.value, radix: 16) } ?? "?")" }
                ?? "?"
        }
        let name = kind == .python ? symbol : CanonicalSymbol.name(symbol, module: module)
        guard let file, kind == .python || inApp == true else { return name }
        return "\(name) (\(SourcePath.name(file))\(line.map { ":\($0)" } ?? ""))"
    }
}
