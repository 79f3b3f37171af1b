// Appends numbers to a byte buffer without making a String of each: access lines are written per request.

extension [UInt8] {
    /// The decimal digits of `value`, with a minus sign if it is negative.
    package mutating func appendDecimal(_ value: Int) {
        if value < 0 { append(UInt8(ascii: "-")) }
        appendDigits(value.magnitude, width: 1)
    }

    /// The decimal digits of `value`, filled with zeros to `width`. Negative values are written as 0.
    mutating func appendPadded(_ value: Int, width: Int) {
        appendDigits(UInt(Swift.max(0, value)), width: width)
    }

    /// Nanoseconds as milliseconds with three decimals: `2.113`.
    package mutating func appendMilliseconds(nanoseconds: UInt64) {
        let microseconds = UInt(nanoseconds / 1000)
        appendDigits(microseconds / 1000, width: 1)
        append(UInt8(ascii: "."))
        appendDigits(microseconds % 1000, width: 3)
    }

    private mutating func appendDigits(_ value: UInt, width: Int) {
        let start = count
        var rest = value
        repeat {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        while count - start < width { append(UInt8(ascii: "0")) }
        self[start...].reverse()
    }
}
