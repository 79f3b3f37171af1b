// Defines what the store gives back: a whole report, a line of a list, and how often a bug came.

package import GraniteReport

/// A report as it lies on disk.
package struct StoredReport: Sendable {
    package let path: String
    /// The file, byte for byte.
    package let bytes: [UInt8]
    package let report: CrashReport
}

/// One report in a list.
package struct ReportListing: Sendable, Equatable {
    package let id: String
    package let path: String
    package let bytes: Int
    /// The report without threads, modules and logs; only its id if the file is damaged.
    package internal(set) var report: CrashReport
    /// What is wrong with the file; nil if nothing is.
    package internal(set) var damage: String?

    package init(id: String, path: String, bytes: Int, report: CrashReport, damage: String? = nil) {
        self.id = id
        self.path = path
        self.bytes = bytes
        self.report = report
        self.damage = damage
    }
}

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
