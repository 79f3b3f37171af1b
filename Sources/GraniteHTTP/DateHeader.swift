// Defines the Date header's value, formatted once a second. Separate: it is the only place that needs a calendar.

import CLinux

/// `Tue, 24 Nov 2026 21:52:36 GMT` (RFC 9110 section 5.6.7), kept until the second is over. One per application thread.
final class DateHeader {
    static let length = 29
    private let text = UnsafeMutablePointer<UInt8>.allocate(capacity: DateHeader.length)
    private var validUntil: UInt64 = 0

    deinit { text.deallocate() }

    /// - Parameter now: the monotonic clock in nanoseconds, which the caller has at hand.
    @inline(__always)
    func value(now: UInt64) -> UnsafeRawBufferPointer {
        if now >= validUntil { refresh(now: now) }
        return UnsafeRawBufferPointer(start: text, count: Self.length)
    }

    private func refresh(now: UInt64) {
        let realtime = granite_realtime_ns()
        Self.format(secondsSince1970: Int(realtime / 1_000_000_000), into: text)
        validUntil = now + (1_000_000_000 - realtime % 1_000_000_000)
    }

    /// Days to civil date by Howard Hinnant's algorithm (chrono-Compatible Low-Level Date Algorithms, days 0000-03-01
    /// as origin).
    static func format(secondsSince1970 seconds: Int, into text: UnsafeMutablePointer<UInt8>) {
        let days = seconds / 86_400
        let second = seconds % 86_400
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)

        func copy(_ source: StaticString, _ index: Int, to offset: Int) {
            for i in 0..<3 { text[offset + i] = source.utf8Start[index * 3 + i] }
        }
        func digits(_ value: Int, to offset: Int) {
            text[offset] = UInt8(truncatingIfNeeded: 0x30 + value / 10 % 10)
            text[offset + 1] = UInt8(truncatingIfNeeded: 0x30 + value % 10)
        }
        let pattern: StaticString = "---, -- --- ---- --:--:-- GMT"
        for i in 0..<length { text[i] = pattern.utf8Start[i] }
        copy("ThuFriSatSunMonTueWed", days % 7, to: 0)
        digits(day, to: 5)
        copy("JanFebMarAprMayJunJulAugSepOctNovDec", month - 1, to: 8)
        digits(year / 100, to: 12)
        digits(year % 100, to: 14)
        digits(second / 3600, to: 17)
        digits(second / 60 % 60, to: 20)
        digits(second % 60, to: 23)
    }
}
