// Defines an address, so that it is not mixed up with a size or an offset and is written the same everywhere.

/// An address in the reported process. JSON: `"0x00007f12deadbeef"`, 16 digits.
package struct Address: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package var value: UInt64

    package init(_ value: UInt64) { self.value = value }

    package static func < (left: Address, right: Address) -> Bool { left.value < right.value }

    /// `0x` and 16 lower-case digits.
    package var description: String {
        let digits = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: 16 - digits.count) + digits
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard text.hasPrefix("0x"), let value = UInt64(text.dropFirst(2), radix: 16) else {
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "An address is 0x and up to 16 hexadecimal digits, not \"\(text)\"."))
        }
        self.value = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
