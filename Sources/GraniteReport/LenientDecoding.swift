// Defines how a field is read that may be missing, or that another version or a hostile hand wrote: what cannot be read is left out.

extension KeyedDecodingContainer {
    /// The value, or nil if it is missing or of another type.
    func lenient<Value: Decodable>(_ key: Key) -> Value? { (try? decodeIfPresent(Value.self, forKey: key)) ?? nil }

    /// The elements that can be read, or nil if there is no array.
    func lenientArray<Element: Decodable>(_ key: Key) -> [Element]? {
        let array: LossyArray<Element>? = lenient(key)
        return array?.elements
    }
}

/// An array without the elements that cannot be read.
private struct LossyArray<Element: Decodable>: Decodable {
    var elements: [Element] = []

    init(from decoder: any Decoder) throws {
        var container = try decoder.unkeyedContainer()
        while !container.isAtEnd {
            if let element = try? container.decode(Element.self) {
                elements.append(element)
            } else {
                _ = try container.decode(Skipped.self)
            }
        }
    }

    /// Takes any value, so that the container moves on.
    private struct Skipped: Decodable {
        init(from decoder: any Decoder) throws {}
    }
}
