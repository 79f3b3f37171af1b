// Defines how numbers are written for people, in reports and in the log. Numbers of a report may be anything: none of them may end
// the program that shows them.

/// Numbers for readers.
package enum Quantity {
    /// `2.1 ms`, `38 ms`, `7.5 s`, `3 min 12 s`, `5 h 3 min`, `12 d 4 h`; nil for what is no length of time.
    package static func duration(seconds: Double) -> String? {
        guard seconds.isFinite, seconds >= 0, seconds < 1e11 else { return nil }
        if seconds < 0.9995 { return rounded(seconds * 1000) + " ms" }
        if seconds < 59.95 { return rounded(seconds) + " s" }
        let whole = Int(seconds.rounded())
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        if whole < 86_400 { return "\(whole / 3600) h \(whole % 3600 / 60) min" }
        return "\(grouped(whole / 86_400)) d \(whole % 86_400 / 3600) h"
    }

    /// `18,204`.
    package static func grouped(_ number: some BinaryInteger) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return number < 0 ? "-" + text : text
    }

    /// `1 frame`, `3 frames`, `18,204 requests`.
    package static func count(_ number: Int, _ noun: String) -> String {
        "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// `1st`, `2nd`, `3rd`, `11th`.
    package static func ordinal(_ number: Int) -> String {
        let ending =
            switch (number % 100, number % 10) {
            case (11...13, _): "th"
            case (_, 1): "st"
            case (_, 2): "nd"
            case (_, 3): "rd"
            default: "th"
            }
        return grouped(number) + ending
    }

    /// `512 B`, `64 MB`, in powers of 1000 as the kernel's counters are read by most.
    package static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        var unit = "B"
        for next in ["kB", "MB", "GB", "TB", "PB"] where value >= 999.5 {
            value /= 1000
            unit = next
        }
        return rounded(value) + " " + unit
    }

    /// `512 B`, `48 MiB`, `1.9 GiB`: memory and its limits, which are set in powers of 1024.
    package static func memory(_ count: UInt64) -> String {
        var value = Double(count)
        var unit = "B"
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] where value >= 1023.5 {
            value /= 1024
            unit = next
        }
        return rounded(value) + " " + unit
    }

    /// One decimal below 10, none above; no `.0`.
    private static func rounded(_ value: Double) -> String {
        if value >= 9.95 { return String(Int(min(value, 1e15).rounded())) }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths / 10).\(tenths % 10)"
    }
}

extension Duration {
    /// Seconds, with fraction.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
    /// Milliseconds, with fraction.
    package var milliseconds: Double { seconds * 1000 }
}
