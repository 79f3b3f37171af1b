// Defines what a report says of mistakes that were counted: only the first of a kind has a report of its own.

/// A mistake that happened more than once in one process.
package struct CountedOccasion: Codable, Sendable, Equatable {
    package var kind: CrashReport.Kind?
    package var subject: String?
    package var message: String?
    /// How often, the reported ones included.
    package var count: Int?
    /// How many have a report.
    package var captured: Int?
    /// From the first to the last.
    package var overSeconds: Double?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case kind, subject, message, count, captured
        case overSeconds = "over_s"
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        kind = fields.lenient(.kind)
        subject = fields.lenient(.subject)
        message = fields.lenient(.message)
        count = fields.lenient(.count)
        captured = fields.lenient(.captured)
        overSeconds = fields.lenient(.overSeconds)
    }
}
