// Defines how a moment is written in a log: RFC 3339, UTC, milliseconds. It is separate because the access formatter
// writes thousands of them a second and must not go through a calendar library.

import Glibc

/// Writes moments as `2026-11-24T13:40:12.345Z`. Remembers the last second, so that most calls only write three digits.
/// A value belongs to one thread.
package struct LogTimestamp: Sendable {
    private var second: Int64 = .min
    private var prefix: [UInt8] = []

    package init() {}

    /// Now, in nanoseconds since 1970 (CLOCK_REALTIME, by the vdso: no system call).
    package static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, time.tv_nsec))
    }

    /// Appends the moment `nanoseconds` after 1970 to `buffer`.
    package mutating func append(nanoseconds: UInt64, to buffer: inout [UInt8]) {
        let second = Int64(nanoseconds / 1_000_000_000)
        if second != self.second {
            self.second = second
            prefix = Self.render(second: second)
        }
        buffer.append(contentsOf: prefix)
        buffer.appendPadded(Int(nanoseconds / 1_000_000 % 1000), width: 3)
        buffer.append(UInt8(ascii: "Z"))
    }

    /// `2026-11-24T13:40:12.`: everything but the milliseconds.
    private static func render(second: Int64) -> [UInt8] {
        let (year, month, day) = civil(daysSince1970: second / 86_400)
        let inDay = Int(second % 86_400)
        var text: [UInt8] = []
        text.reserveCapacity(20)
        text.appendPadded(year, width: 4)
        text.append(UInt8(ascii: "-"))
        text.appendPadded(month, width: 2)
        text.append(UInt8(ascii: "-"))
        text.appendPadded(day, width: 2)
        text.append(UInt8(ascii: "T"))
        text.appendPadded(inDay / 3600, width: 2)
        text.append(UInt8(ascii: ":"))
        text.appendPadded(inDay / 60 % 60, width: 2)
        text.append(UInt8(ascii: ":"))
        text.appendPadded(inDay % 60, width: 2)
        text.append(UInt8(ascii: "."))
        return text
    }

    /// Days to a date of the Gregorian calendar; the algorithm is `civil_from_days` of Howard Hinnant's
    /// "chrono-Compatible Low-Level Date Algorithms".
    private static func civil(daysSince1970 days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468  // days since 0000-03-01
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }
}
