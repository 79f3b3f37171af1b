// Defines the note that a report's names were completed after its capture. Separate, because nothing of a capture makes it.

/// What `granite-crash resymbolicate` did to a report, the last time.
package struct Resymbolication: Codable, Sendable, Equatable {
    /// When, RFC 3339 in UTC.
    package var time: String?
    /// Frames of the capture that got a name, or a better one.
    package var frames: Int?
    /// Paths of the modules whose symbols were used.
    package var modules: [String]?
    /// The fingerprint's hash before, if it changed: the report's group until then.
    package var previousFingerprint: String?

    package init() {}

    enum CodingKeys: String, CodingKey {
        case time, frames, modules
        case previousFingerprint = "previous_fingerprint"
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        time = fields.lenient(.time)
        frames = fields.lenient(.frames)
        modules = fields.lenientArray(.modules)
        previousFingerprint = fields.lenient(.previousFingerprint)
    }
}
