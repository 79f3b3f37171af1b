// Defines the value tree of an event's fields. It is separate from swift-log's metadata because that has no numbers and no order.

/// One value in a log line. Objects keep the order of their fields.
package enum FieldValue: Sendable, Equatable {
    case string(String)
    case integer(Int)
    /// Written with at most three decimals; what is not finite becomes `null`.
    case number(Double)
    case boolean(Bool)
    case array([FieldValue])
    case object([Field])

    /// A name and its value.
    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: FieldValue

        package init(_ name: String, _ value: FieldValue) {
            self.name = name
            self.value = value
        }
    }
}

extension [UInt8] {
    /// Appends `value` as JSON.
    mutating func appendJSON(_ value: FieldValue) {
        switch value {
        case .string(let text): appendJSONString(text)
        case .integer(let integer): appendDecimal(integer)
        case .number(let number): appendJSON(number)
        case .boolean(let boolean): append(contentsOf: (boolean ? "true" : "false").utf8)
        case .array(let elements):
            append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                appendJSON(element)
            }
            append(UInt8(ascii: "]"))
        case .object(let fields):
            append(UInt8(ascii: "{"))
            for (index, field) in fields.enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                appendJSON(field)
            }
            append(UInt8(ascii: "}"))
        }
    }

    /// Appends `"name":value`.
    mutating func appendJSON(_ field: FieldValue.Field) {
        appendJSONString(field.name)
        append(UInt8(ascii: ":"))
        appendJSON(field.value)
    }

    private mutating func appendJSON(_ number: Double) {
        guard number.isFinite else { return append(contentsOf: "null".utf8) }
        let rounded = (number * 1000).rounded() / 1000
        if let integer = Int(exactly: rounded) { return appendDecimal(integer) }
        append(contentsOf: (rounded.isFinite ? rounded : number).description.utf8)
    }
}
