// Defines how a report is written as JSON and read back. Reading is lenient: see CrashReport+Decoding.swift.

import FoundationEssentials

extension CrashReport {
    /// The report as one line of JSON: keys sorted, so that equal reports are equal bytes; slashes not escaped.
    package func encoded() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return try Array(encoder.encode(self))
        } catch {
            // Only a number that JSON cannot write (infinity, not a number) comes here, and it may come from a hostile page.
            var rest = CrashReport(id: id)
            rest.kind = kind
            rest.time = time
            rest.reason = reason
            rest.capture = CaptureInfo()
            rest.capture?.incomplete = true
            rest.capture?.errors = ["The report could not be written in full: \(error)"]
            return (try? encoder.encode(rest)).map { Array($0) } ?? Array(#"{"schema":"\#(Self.schemaName)"}"#.utf8)
        }
    }

    /// Reads a report of this or another version. Fields that are missing, unknown or of another type are left out.
    /// - Throws: `DecodingError` if the bytes are no JSON object.
    package static func decode(_ bytes: [UInt8]) throws -> CrashReport {
        try JSONDecoder().decode(CrashReport.self, from: Data(bytes))
    }
}
