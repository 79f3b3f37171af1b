// The rule for memory that grows: by how much, of what, and what that looks like. It says that objects are kept only as far as counting
// them can tell. Pure.

import GraniteReport

enum GrowthRule {
    /// So many types are named in the sentence.
    private static let maxNamed = 3
    /// What every exception that is kept brings along.
    private static let ofExceptions: Set<String> = ["frame", "traceback"]

    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .growth else { return nil }
        guard let growth = facts.growth else {
            return Verdict(.growth, .possible, [], "Memory grew, and nothing that was captured says of what.")
        }
        var evidence: [String] = []
        if let amount = amount(growth) { evidence.append(amount) }
        let named = (growth.types ?? []).prefix(maxNamed).map {
            "\(Quantity.grouped($0.more)) \($0.type)"
        }
        let more = named.isEmpty ? "" : "; \(named.joined(separator: ", ")) more than before"
        let keepsFrames = (growth.types ?? []).contains { ofExceptions.contains($0.type) && $0.more > 0 }
        if keepsFrames { evidence.append("there are more frames or tracebacks than before") }
        let (cause, confidence) = cause(growth, keepsFrames: keepsFrames)
        return Verdict(
            .growth, confidence, evidence,
            Wording.sentence("\(amount(growth) ?? "Memory grew")\(more): \(cause)"))
    }

    private static func amount(_ growth: GrowthInfo) -> String? {
        guard let before = growth.rssBytesBefore, let now = growth.rssBytesNow else { return nil }
        let span = growth.overSeconds.flatMap(Quantity.duration(seconds:)).map { " in \($0)" } ?? ""
        return "Memory grew from \(Quantity.memory(before)) to \(Quantity.memory(now))\(span)"
    }

    private static func cause(_ growth: GrowthInfo, keepsFrames: Bool) -> (String, Diagnosis.Confidence) {
        let unknown =
            (keepsFrames ? "exceptions keep frames alive; " : "")
            + "what of it is in cycles only the garbage collector frees"
        switch growth.cause {
        case "max_rss": return ("it is over --max-rss, and the worker is replaced", .certain)
        case "objects_kept":
            return (
                "the garbage collector went through all objects meanwhile and left them: something keeps them", .likely
            )
        case "collector_behind":
            return ("\(unknown), and that falls behind: it did not go through all objects meanwhile", .possible)
        default: return (unknown, .possible)
        }
    }
}
