// Defines what of a report goes into a log line: the part that the respawn event carries.

/// The gist of a report, for one JSON line.
package struct CrashSummary: Codable, Sendable, Equatable {
    package var id: String
    package var kind: String
    package var reason: String
    package var category: String?
    package var confidence: String?
    package var request: RequestInfo?
    /// How memory went, where that says something of the death: `48 MiB → 243 MiB in 4 s, limit 256 MiB`.
    package var memory: String?
    /// The innermost frames worth naming, at most 5: `strlen`, `native_crash (app.py:14)`.
    package var top: [String]
    package var fingerprint: String?
    package var complete: Bool
    /// Path of the stored report; nil if it could not be stored.
    package var report: String?

    package init(
        id: String, kind: String, reason: String, category: String?, confidence: String?, request: RequestInfo?,
        memory: String? = nil, top: [String],
        fingerprint: String?, complete: Bool, report: String?
    ) {
        self.id = id
        self.kind = kind
        self.reason = reason
        self.category = category
        self.confidence = confidence
        self.request = request
        self.memory = memory
        self.top = top
        self.fingerprint = fingerprint
        self.complete = complete
        self.report = report
    }
}
