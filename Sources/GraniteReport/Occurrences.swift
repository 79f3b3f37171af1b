// Defines how often a bug came: counted by the store, told by the text, which do not know each other.

/// How often one bug is among the stored reports.
package struct Occurrences: Sendable, Equatable {
    package var count: Int
    /// The how manieth of them the asked report is, from 1 for the oldest; nil if it is not among them.
    package var ordinal: Int?
    /// When the oldest of them happened, RFC 3339.
    package var firstTime: String?

    package init(count: Int, ordinal: Int?, firstTime: String?) {
        self.count = count
        self.ordinal = ordinal
        self.firstTime = firstTime
    }
}
