// Defines how the parts of a readable log line are set off. It is separate so that plain text and colour are the same code.

import Logging

/// Escape sequences around the parts of a line; all empty for plain text.
package struct Theme: Sendable, Equatable {
    var dim = ""
    var error = ""
    var warning = ""
    var reset = ""

    /// No colours: files, pipes, `NO_COLOR`.
    package static let plain = Theme()
    /// For a terminal (ECMA-48 SGR).
    package static let color = Theme(dim: "\u{1B}[2m", error: "\u{1B}[1;31m", warning: "\u{1B}[33m", reset: "\u{1B}[0m")

    func start(of level: Logger.Level) -> String {
        switch level {
        case .critical, .error: error
        case .warning: warning
        case .trace, .debug: dim
        case .info, .notice: ""
        }
    }
}
