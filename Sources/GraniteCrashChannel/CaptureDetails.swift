// Defines how the details of a capture are read: lines of key=value that a process wrote which may be broken. Pure.

/// The lines of `granite_capture.details`. A key may have several values, in order.
package struct CaptureDetails: Sendable, Equatable {
    /// At most so many lines are kept.
    package static let maxLines = 256

    private var lines: [(key: String, value: String)] = []

    /// Lines without `=` and an unended last one, cut by the field's length, are left out.
    package init(_ text: String) {
        let parts = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        for line in parts.prefix(Self.maxLines) {
            guard let equals = line.firstIndex(of: "=") else { continue }
            lines.append((String(line[..<equals]), String(line[line.index(after: equals)...])))
        }
    }

    /// The first value of `key`, nil if there is none or it is empty.
    package subscript(_ key: String) -> String? { all(key).first { !$0.isEmpty } }

    /// All values of `key`, in order.
    package func all(_ key: String) -> [String] { lines.filter { $0.key == key }.map(\.value) }

    package static func == (left: CaptureDetails, right: CaptureDetails) -> Bool {
        left.lines.elementsEqual(right.lines) { $0.key == $1.key && $0.value == $1.value }
    }
}
