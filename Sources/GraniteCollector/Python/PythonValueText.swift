// Defines how a value of the program is told in a few characters, as repr() would, without running repr(): only types
// whose layout is known are opened, everything else is named by its type and address.

import GraniteReport

/// Reads values breadth first, so that a round trip serves all of them, and then writes each from what is here.
struct PythonValueText {
    /// Items of one container that are shown.
    static let maxItems = 8
    /// Containers within containers that are opened.
    static let maxDepth = 2
    /// Characters of one string.
    static let maxCharacters = 160
    /// Characters of one value in all.
    static let maxTotal = 400
    /// Values that are looked at for one report.
    static let maxValues = 4096

    let objects: PythonObjects

    /// Brings the values and what they hold into the cache, a few batches for each depth.
    func fetch(_ values: [UInt64]) {
        var level = Array(Set(values).prefix(Self.maxValues))
        var seen = Set(level)
        for depth in 0...Self.maxDepth where !level.isEmpty {
            objects.fetch(level)
            let tables = level.compactMap { objects.table(ofDict: $0) }
            objects.pages.fetch(
                level.compactMap { objects.itemRange($0, limit: Self.maxItems) } + level.compactMap(payload)
                    + tables.map { MemoryRange(address: $0.keys, length: objects.offsets.keysBytes) }
                    + level.compactMap(nameTable))
            objects.pages.fetch(tables.flatMap { objects.entryRanges($0, limit: Self.maxItems) })
            guard depth < Self.maxDepth else { break }
            level = level.flatMap(children).filter { seen.count < Self.maxValues && seen.insert($0).inserted }
        }
    }

    /// Where a string's or a byte string's characters lie.
    private func payload(_ value: UInt64) -> MemoryRange? {
        if let text = objects.textRange(value, limit: Self.maxCharacters) {
            return MemoryRange(address: text.data, length: text.count * text.width)
        }
        guard objects.type(of: value)?.isBytes == true, let size = objects.size(of: value) else { return nil }
        return MemoryRange(
            address: value &+ UInt64(objects.layout.bytesData), length: min(size, Self.maxCharacters))
    }

    /// The dictionary of a class of the program, which says its module.
    private func nameTable(_ value: UInt64) -> MemoryRange? {
        guard let type = objects.type(of: value), type.isHeapType,
            let dict = objects.word(type.address, objects.offsets.typeDict)
        else { return nil }
        return MemoryRange(address: dict, length: 48)
    }

    private func children(_ value: UInt64) -> [UInt64] {
        if let table = objects.table(ofDict: value) {
            return objects.entries(table, limit: Self.maxItems).flatMap { [$0.key, $0.value] }
        }
        return objects.items(value, limit: Self.maxItems)
    }

    /// One line; never throws, never longer than ``maxTotal`` and an ellipsis.
    func text(_ value: UInt64) -> String {
        let text = text(value, depth: 0)
        return text.unicodeScalars.count <= Self.maxTotal
            ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(Self.maxTotal))) + "…"
    }

    private func text(_ value: UInt64, depth: Int) -> String {
        guard value % 8 == 0, let type = objects.type(of: value) else {
            return "<unreadable at 0x\(String(value, radix: 16))>"
        }
        if type.isExactly("NoneType") { return "None" }
        if type.isExactly("bool") { return integer(value) == "0" ? "False" : "True" }
        if type.isExactly("int"), let number = integer(value) { return number }
        if type.isExactly("float"), let bits = objects.word(value, objects.offsets.floatValue) {
            return Double(bitPattern: bits).description
        }
        if type.isExactly("str"), let text = objects.text(value, limit: Self.maxCharacters) { return Self.quoted(text) }
        if type.isExactly("bytes"), let text = byteString(value) { return text }
        if type.isExactly("tuple") || type.isExactly("list"), let size = objects.size(of: value) {
            return sequence(value, size: size, isTuple: type.isTuple, depth: depth)
        }
        if type.isExactly("dict"), let text = dictionary(value, depth: depth) { return text }
        if type.isExactly("set") || type.isExactly("frozenset"),
            let used = objects.word(value, objects.offsets.setUsed), used < 1 << 40
        {
            return "<\(type.name) of \(used)>"
        }
        return "<\(Self.oneLine(objects.qualifiedName(of: type))) object at 0x\(String(value, radix: 16))>"
    }

    /// longobject.c: digits of 30 bits; the sign is that of the size, from 3.12 on two bits of a tag.
    private func integer(_ value: UInt64) -> String? {
        guard let head = objects.word(value, objects.layout.objectSize) else { return nil }
        let isNegative: Bool
        let count: UInt64
        if objects.layout.minor >= 12 {
            isNegative = head & 3 == 2
            count = head & 3 == 1 ? 0 : head >> 3
        } else {
            isNegative = Int64(bitPattern: head) < 0
            count = Int64(bitPattern: head).magnitude
        }
        guard count <= 4 else { return count < 1 << 32 ? "<int of \(count * 30) bits at most>" : nil }
        var number: UInt128 = 0
        for index in (0..<Int(count)).reversed() {
            guard let digit: UInt32 = objects.pages.integer(at: value &+ UInt64(objects.offsets.intDigits + index * 4)),
                digit < 1 << 30
            else { return nil }
            number = number << 30 | UInt128(digit)
        }
        return (isNegative ? "-" : "") + String(number)
    }

    private func byteString(_ value: UInt64) -> String? {
        guard let size = objects.size(of: value) else { return nil }
        let count = min(size, Self.maxCharacters)
        let start = value &+ UInt64(objects.layout.bytesData)
        guard let bytes = count == 0 ? [] : objects.pages.bytes(at: start, count: count) else { return nil }
        var text = "b'"
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\\"): text += "\\\(Character(Unicode.Scalar(byte)))"
            case 0x20..<0x7F: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text + (size > count ? "…" : "") + "'"
    }

    private func sequence(_ value: UInt64, size: Int, isTuple: Bool, depth: Int) -> String {
        let (open, close) = isTuple ? ("(", ")") : ("[", "]")
        if size == 0 { return open + close }
        guard depth < Self.maxDepth else { return "\(open)…\(size)\(close)" }
        let values = objects.items(value, limit: Self.maxItems)
        var items = values.map { text($0, depth: depth + 1) }
        // An entry as dict.items() gives it, a header, a field of a form.
        if isTuple, size == 2, items.count == 2, isSecretName(values[0]) { items[1] = Redaction.mark }
        let rest = size > items.count ? ["…\(size - items.count) more"] : []
        return open + (items + rest).joined(separator: ", ") + (isTuple && size == 1 ? "," : "") + close
    }

    private func dictionary(_ value: UInt64, depth: Int) -> String? {
        guard let used = objects.word(value, objects.offsets.dictUsed), used < 1 << 40 else { return nil }
        if used == 0 { return "{}" }
        guard depth < Self.maxDepth, let table = objects.table(ofDict: value) else { return "{…\(used)}" }
        let entries = objects.entries(table, limit: Self.maxItems).map { key, entry in
            text(key, depth: Self.maxDepth) + ": "
                + (isSecretName(key) ? Redaction.mark : text(entry, depth: depth + 1))
        }
        let rest = Int(used) > entries.count ? ["…\(Int(used) - entries.count) more"] : []
        return "{" + (entries + rest).joined(separator: ", ") + "}"
    }

    /// Whether a str or bytes says that what belongs to it is a secret.
    private func isSecretName(_ value: UInt64) -> Bool {
        if let name = objects.text(value, limit: Self.maxCharacters) { return Redaction.isSecretName(name) }
        guard objects.type(of: value)?.isBytes == true, let size = objects.size(of: value) else { return false }
        let start = value &+ UInt64(objects.layout.bytesData)
        let name = objects.pages.bytes(at: start, count: min(size, Self.maxCharacters))
        return name.map { Redaction.isSecretName(String(decoding: $0, as: UTF8.self)) } ?? false
    }

    /// As Python quotes a string; what does not print becomes an escape.
    static func quoted(_ text: String) -> String {
        let quote = text.contains("'") && !text.contains("\"") ? "\"" : "'"
        var result = quote
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\\": result += "\\\\"
            case "'" where quote == "'": result += "\\'"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                result += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + quote
    }

    private static func oneLine(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 }))
    }
}
