// Defines how much of a crash is told: the meaning of GRANITE_BACKTRACE and of the flags that go with it.

/// How much a crash report shall hold.
public enum BacktraceLevel: UInt32, Sendable, CaseIterable, CustomStringConvertible {
    /// Nothing but the exit: no handler is installed.
    case off = 0
    /// The crashed thread, application frames first. All stacks are captured all the same; the collector decides what
    /// to show.
    case short = 1
    /// Every thread, every frame, registers, modules, memory near the registers.
    case full = 2

    /// Reads `off`, `0`, `short`, `1` or `full`, in any case. nil for anything else.
    public init?(parsing text: some StringProtocol) {
        switch text.lowercased() {
        case "off", "0": self = .off
        case "short", "1": self = .short
        case "full": self = .full
        default: return nil
        }
    }

    /// The level that a value of GRANITE_BACKTRACE asks for; `short` where it is absent, empty or not understood.
    public init(environmentValue: String?) {
        self = environmentValue.flatMap(BacktraceLevel.init(parsing:)) ?? .short
    }

    /// The name that the environment variable uses.
    public var description: String {
        switch self {
        case .off: "off"
        case .short: "short"
        case .full: "full"
        }
    }
}
