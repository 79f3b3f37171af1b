// Defines how the parts of a text look on a terminal, so that the text itself is made without a thought of colour.

/// What a piece of text is.
package enum TextRole: Sendable {
    /// The first line.
    case alarm
    /// The sentence that says why.
    case reason
    /// Headings of threads, labels of sections.
    case label
    /// A function of the application.
    case app
    /// The language of a frame.
    case language
    /// File and line, module and offset.
    case location
    /// The source line that was running.
    case current
    /// What most readers skip.
    case quiet
    /// What is missing or wrong with the report itself.
    case warning
}

/// A look: Select Graphic Rendition codes by role (ECMA-48, 8.3.117).
package struct Theme: Sendable {
    private let codes: [TextRole: String]

    /// No escape sequences at all.
    package static let plain = Theme(codes: [:])

    /// The 16 colours that every terminal has, readable on light and dark.
    package static let color = Theme(codes: [
        .alarm: "1;31", .reason: "1", .label: "1", .app: "1;33", .language: "36", .location: "2", .current: "1;31",
        .quiet: "2", .warning: "35",
    ])

    private init(codes: [TextRole: String]) { self.codes = codes }

    func styled(_ text: String, _ role: TextRole?) -> String {
        guard let role, let code = codes[role], !text.isEmpty else { return text }
        return "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }
}
