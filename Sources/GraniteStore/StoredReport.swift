// Defines what the store gives back: a whole report, or a line of a list.

package import GraniteReport

/// A report as it lies on disk.
package struct StoredReport: Sendable {
    package let path: String
    /// The file, byte for byte.
    package let bytes: [UInt8]
    package let report: CrashReport

    package init(path: String, bytes: [UInt8], report: CrashReport) {
        self.path = path
        self.bytes = bytes
        self.report = report
    }
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
