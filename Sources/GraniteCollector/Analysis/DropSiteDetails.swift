// Makes the report's drop site and growth out of a capture and its details. Pure; what a broken process wrote is left out, not believed.

import GraniteCrashChannel
import GraniteReport

extension DropSite {
    /// - Parameter creationFrames: those of the capture, with names.
    init(_ capture: CrashPage.Capture, creationFrames: [Frame]) {
        self.init()
        let details = capture.details
        subject = capture.subject.isEmpty ? nil : capture.subject
        message = capture.message.isEmpty ? nil : capture.message
        ownerTid = capture.ownerThread == 0 ? nil : Int(capture.ownerThread)
        ownerName = capture.ownerName.isEmpty ? nil : capture.ownerName
        ownerState = details["owner_state"]
        created =
            capture.createdNanoseconds == 0 ? nil : Timestamp.rfc3339(nanoseconds: capture.createdNanoseconds)
        self.creationFrames = creationFrames.isEmpty ? nil : creationFrames
        createdIn = details["created_in"]
        type = details["type"]
        hook = details["hook"]
        collector = details["collector"]
        generation = details["generation"].flatMap(Int.init).flatMap { (0...2).contains($0) ? $0 : nil }
        let counts = details.all("referrer").compactMap(Self.typeCount)
        referrers = counts.isEmpty ? nil : counts
        referrersOf = details["referrers_of"]
        heldBy = Self.list(details.all("held_by"))
        allocatedAt = Self.list(details.all("allocated"))
        living = details["living"].flatMap(Int.init)
    }

    private static func list(_ values: [String]) -> [String]? { values.isEmpty ? nil : values }

    /// `3 builtins.frame`.
    private static func typeCount(_ text: String) -> TypeCount? {
        let parts = text.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, let count = Int(parts[0]), count >= 0 else { return nil }
        return TypeCount(type: String(parts[1]), count: count)
    }
}

extension GrowthInfo {
    init(_ details: CaptureDetails) {
        self.init()
        cause = details["cause"]
        let rss = (details["rss"] ?? "").split(separator: " ").compactMap { UInt64($0) }
        if rss.count == 2 { (rssBytesBefore, rssBytesNow) = (rss[0], rss[1]) }
        overSeconds = details["grown_over"].flatMap(Double.init).flatMap { $0.isFinite ? $0 : nil }
        let types = details.all("grown").compactMap(Self.growth)
        self.types = types.isEmpty ? nil : types
    }

    /// `120 36161 app.Boom`.
    private static func growth(_ text: String) -> Growth? {
        let parts = text.split(separator: " ", maxSplits: 2)
        guard parts.count == 3, let before = Int(parts[0]), let now = Int(parts[1]), before >= 0, now >= 0 else {
            return nil
        }
        return Growth(type: String(parts[2]), before: before, now: now)
    }
}
