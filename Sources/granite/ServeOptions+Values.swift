// How durations and sizes are typed.

import ArgumentParser

/// `90`, `3.5s`, `250ms`, `1h30m`; at most a year.
struct TimeSpan: ExpressibleByArgument, Equatable, Sendable {
    var duration: Duration

    init?(argument: String) {
        var seconds = 0.0
        var rest = argument[...]
        var largest = Double.infinity
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            let unit = rest.dropFirst(digits.count).prefix { $0.isLetter }
            guard let value = Double(digits), let size = Self.size(of: unit, isAlone: digits.count == argument.count),
                size < largest
            else { return nil }
            seconds += value * size
            largest = size
            rest = rest.dropFirst(digits.count + unit.count)
        }
        guard seconds <= 365 * 86_400 else { return nil }
        duration = .seconds(seconds)
    }

    /// Seconds of a unit; a number without one is seconds if it stands alone.
    private static func size(of unit: Substring, isAlone: Bool) -> Double? {
        switch unit {
        case "d": 86_400
        case "h": 3600
        case "m", "min": 60
        case "s": 1
        case "ms": 0.001
        case "" where isAlone: 1
        default: nil
        }
    }
}

/// `8190`, `64k`, `10M`, `1G`: powers of 1024.
struct ByteSize: ExpressibleByArgument, Equatable, Sendable {
    var bytes: Int

    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let shift: Int
        switch argument.dropFirst(digits.count).lowercased() {
        case "": shift = 0
        case "k", "kb", "kib": shift = 10
        case "m", "mb", "mib": shift = 20
        case "g", "gb", "gib": shift = 30
        default: return nil
        }
        guard let number = Int(digits), number <= 1 << 20 || shift < 30, number >= 0 else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow else { return nil }
        self.bytes = bytes
    }
}

/// `1`, `true`, `yes`, `on` and their opposites, as the environment spells a flag.
struct Switch: ExpressibleByArgument, Equatable, Sendable {
    var isOn: Bool

    init?(argument: String) {
        switch argument.lowercased() {
        case "1", "true", "yes", "on": isOn = true
        case "0", "false", "no", "off": isOn = false
        default: return nil
        }
    }
}
