// Defines report ids: made where a worker is spawned, checked where a person types one.
// Separate from the report, because an id exists long before its report does.

import Glibc

/// Universally unique, sortable ids: 48 bits of milliseconds since 1970 and 80 random bits, as 26 digits of Crockford's base 32
/// (https://github.com/ulid/spec).
package enum ULID {
    /// Digits in an id.
    package static let length = 26

    /// Crockford's base 32: no I, L, O and U, which are misread or spell words.
    private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// A new id for this instant. Any thread; not in a signal handler.
    package static func make() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var random = SystemRandomNumberGenerator()
        return make(
            milliseconds: UInt64(max(0, now.tv_sec)) &* 1000 &+ UInt64(now.tv_nsec / 1_000_000),
            randomHigh: UInt16.random(in: .min ... .max, using: &random),
            randomLow: UInt64.random(in: .min ... .max, using: &random))
    }

    /// The id of a time and 80 random bits. Of `milliseconds` the low 48 bits count, enough until the year 10889.
    package static func make(milliseconds: UInt64, randomHigh: UInt16, randomLow: UInt64) -> String {
        var high = (milliseconds << 16) | UInt64(randomHigh)
        var low = randomLow
        var text = [UInt8](repeating: 0, count: length)
        for position in stride(from: length - 1, through: 0, by: -1) {
            text[position] = digits[Int(low & 31)]
            low = (low >> 5) | ((high & 31) << 59)
            high >>= 5
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// True for 26 upper-case digits that fit 128 bits.
    package static func isValid(_ text: some StringProtocol) -> Bool {
        text.utf8.count == length && isPrefix(text)
    }

    /// True if an id may begin so: one to 26 digits, the first of them at most 7. An id that passes cannot name another folder.
    package static func isPrefix(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= length, first <= UInt8(ascii: "7") else { return false }
        return text.utf8.allSatisfy(digits.contains)
    }
}
