// Defines how much of a crash is captured, as GRANITE_BACKTRACE and --backtrace spell it.

/// What is captured when a worker crashes.
package enum BacktraceLevel: String, Sendable, Codable, CaseIterable {
    /// Nothing but the exit.
    case off
    /// The crashed thread, application frames first.
    case short
    /// Every thread, every frame, registers, modules, memory near the registers.
    case full

    /// Reads `off`, `short`, `full`, and `0`, `1` as RUST_BACKTRACE has them; nil for anything else.
    package init?(spelling: String) {
        switch spelling.lowercased() {
        case "off", "0": self = .off
        case "short", "1": self = .short
        case "full": self = .full
        default: return nil
        }
    }

    /// `enum granite_level` of the crash page.
    package var pageValue: UInt32 {
        switch self {
        case .off: 0
        case .short: 1
        case .full: 2
        }
    }
}
