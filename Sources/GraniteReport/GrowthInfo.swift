// Defines what a report says of memory that grows.

/// A process whose memory grows: by how much, over what time, and which Python types grew.
package struct GrowthInfo: Codable, Sendable, Equatable {
    /// Why it was looked at: `collector_behind`, `objects_kept`, `max_rss` or `asked`.
    package var cause: String?
    package var rssBytesBefore: UInt64?
    package var rssBytesNow: UInt64?
    /// Seconds between the two.
    package var overSeconds: Double?
    /// The types of which there are more now, the strongest growth first.
    package var types: [Growth]?

    package struct Growth: Codable, Sendable, Equatable {
        /// `module.Name`.
        package var type: String
        package var before: Int
        package var now: Int
        package init(type: String, before: Int, now: Int) {
            self.type = type
            self.before = before
            self.now = now
        }

        /// How many more there are, 0 for numbers that make no sense.
        package var more: Int {
            let (difference, overflow) = now.subtractingReportingOverflow(before)
            return overflow ? 0 : max(0, difference)
        }
    }

    package init() {}

    enum CodingKeys: String, CodingKey {
        case cause
        case rssBytesBefore = "rss_bytes_before"
        case rssBytesNow = "rss_bytes_now"
        case overSeconds = "over_s"
        case types
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        cause = fields.lenient(.cause)
        rssBytesBefore = fields.lenient(.rssBytesBefore)
        rssBytesNow = fields.lenient(.rssBytesNow)
        overSeconds = fields.lenient(.overSeconds)
        types = fields.lenientArray(.types)
    }
}
