// Defines how an object of unknown kind is looked at: its type, its characters, its entries, its attributes. Nothing of
// the program is run, and every number that is followed is checked first.

/// A type as its type object describes it.
struct PythonType: Equatable {
    var address: UInt64
    var name: String
    var flags: UInt64
    var basicSize: UInt64
    var dictOffset: Int64

    // Include/object.h: bits that no release of 3.9 to 3.13 has moved.
    var isHeapType: Bool { flags >> 9 & 1 == 1 }
    var hasInlineValues: Bool { flags >> 2 & 1 == 1 }
    var hasManagedDict: Bool { flags >> 4 & 1 == 1 }
    var isInt: Bool { flags >> 24 & 1 == 1 }
    var isList: Bool { flags >> 25 & 1 == 1 }
    var isTuple: Bool { flags >> 26 & 1 == 1 }
    var isBytes: Bool { flags >> 27 & 1 == 1 }
    var isString: Bool { flags >> 28 & 1 == 1 }
    var isDict: Bool { flags >> 29 & 1 == 1 }
    var isException: Bool { flags >> 30 & 1 == 1 }
    var isType: Bool { flags >> 31 & 1 == 1 }

    /// The built-in type itself, no subclass of it.
    func isExactly(_ name: String) -> Bool { !isHeapType && self.name == name }
}

/// Not Sendable: one reader, one thread.
final class PythonObjects {
    /// Types that are remembered.
    static let maxTypes = 2048
    /// Bytes of a type's name.
    static let maxNameBytes = 128
    /// Items or entries of one container that may be looked through.
    static let maxEntries = 256

    let layout: PythonLayout
    let offsets: PythonObjectLayout
    let pages: RemotePages
    /// nil: what lies there is no type.
    private var types: [UInt64: PythonType?] = [:]

    init(layout: PythonLayout, offsets: PythonObjectLayout, pages: RemotePages) {
        self.layout = layout
        self.offsets = offsets
        self.pages = pages
    }

    func word(_ address: UInt64, _ offset: Int) -> UInt64? { pages.integer(at: address &+ UInt64(offset)) }

    /// Reads what most questions need: the objects' heads and their types. In four batches, however many they are.
    func fetch(_ objects: [UInt64], bytes: Int = 64) {
        pages.fetch(objects.map { MemoryRange(address: $0, length: bytes) })
        let new = Set(objects.compactMap { word($0, layout.objectType) }).filter { types[$0] == nil }
        pages.fetch(new.map { MemoryRange(address: $0, length: offsets.typeBytes) })
        let more = new.flatMap { type in
            [
                word(type, layout.objectType).map { ($0, offsets.typeFlags) },
                word(type, layout.typeName).map { ($0, 0) },
            ]
        }
        pages.fetch(more.compactMap { $0 }.map { MemoryRange(address: $0.0 &+ UInt64($0.1), length: 8) })
        for type in new { _ = self.type(at: type) }
    }

    /// The type of an object; nil if what it points to is no type.
    func type(of object: UInt64) -> PythonType? { word(object, layout.objectType).flatMap { type(at: $0) } }

    func type(at address: UInt64) -> PythonType? {
        if let known = types[address] { return known }
        let type = readType(address)
        if types.count < Self.maxTypes { types[address] = .some(type) }
        return type
    }

    private func readType(_ address: UInt64) -> PythonType? {
        guard address % 8 == 0, let meta = word(address, layout.objectType),
            // A type's own type is `type` or a subclass of it.
            let metaFlags = word(meta, offsets.typeFlags), metaFlags >> 31 & 1 == 1,
            let pointer = word(address, layout.typeName), let name = cString(pointer),
            let flags = word(address, offsets.typeFlags), let size = word(address, offsets.typeBasicSize),
            size < 1 << 32, let dictOffset = word(address, offsets.typeDictOffset)
        else { return nil }
        return PythonType(
            address: address, name: name, flags: flags, basicSize: size, dictOffset: Int64(bitPattern: dictOffset))
    }

    private func cString(_ address: UInt64) -> String? {
        var bytes: [UInt8] = []
        while bytes.count < Self.maxNameBytes {
            guard let byte: UInt8 = pages.integer(at: address &+ UInt64(bytes.count)) else { return nil }
            if byte == 0 { break }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Strings

    /// Where a string's characters lie; nil for what is no string. `limit`: characters.
    func textRange(_ object: UInt64, limit: Int) -> PythonText? {
        guard type(of: object)?.isString == true, let length = word(object, layout.textLength),
            let state: UInt32 = pages.integer(at: object &+ UInt64(layout.textState)),
            var text = PythonText(object: object, length: length, state: state, layout: layout)
        else { return nil }
        if text.count > limit {
            text.count = limit
            text.isCut = true
        }
        return text
    }

    /// A string's characters, an ellipsis in place of the rest.
    func text(_ object: UInt64, limit: Int) -> String? {
        guard let text = textRange(object, limit: limit) else { return nil }
        if text.count == 0 { return "" }
        return pages.bytes(at: text.data, count: text.count * text.width).map(text.decode)
    }

    // MARK: Containers

    /// How many items a tuple, list or other object of variable size has; nil for a number that cannot be one.
    func size(of object: UInt64) -> Int? { word(object, layout.objectSize).flatMap { $0 < 1 << 40 ? Int($0) : nil } }

    /// Where the first items of a tuple or list are pointed to.
    func itemRange(_ object: UInt64, limit: Int) -> MemoryRange? {
        guard let type = type(of: object), type.isTuple || type.isList, let size = size(of: object), size > 0 else {
            return nil
        }
        let first = type.isTuple ? object &+ UInt64(offsets.tupleItems) : word(object, offsets.listItems)
        return first.map { MemoryRange(address: $0, length: min(size, limit, Self.maxEntries) * 8) }
    }

    /// The first items of a tuple or list.
    func items(_ object: UInt64, limit: Int) -> [UInt64] {
        guard let range = itemRange(object, limit: limit) else { return [] }
        return (0..<range.length / 8).compactMap { word(range.address, $0 * 8) }
    }

    /// The keys and values of a dictionary, or of an object's attributes.
    struct Table {
        var keys: UInt64
        /// 0: the values lie beside the keys.
        var values: UInt64
    }

    func table(ofDict object: UInt64) -> Table? {
        guard type(of: object)?.isDict == true, let keys = word(object, offsets.dictKeys),
            let values = word(object, offsets.dictValues)
        else { return nil }
        return Table(keys: keys, values: values == 0 ? 0 : values &+ UInt64(offsets.valuesItems))
    }

    /// The attributes of an instance of a class. An object may keep them in a dictionary or in an array beside itself
    /// (3.11, 3.12: pycore_object.h; 3.13: behind itself).
    func table(ofInstance object: UInt64) -> Table? {
        guard let type = type(of: object), type.isHeapType else { return nil }
        if layout.minor <= 10 || !type.hasManagedDict {
            guard type.dictOffset > 0, let dict = word(object &+ UInt64(type.dictOffset), 0) else { return nil }
            return table(ofDict: dict)
        }
        guard let keys = word(type.address, offsets.typeCachedKeys), let dict = word(object &- 24, 0) else {
            return nil
        }
        switch layout.minor {
        case 11:
            if let values = word(object &- 32, 0), values != 0 { return Table(keys: keys, values: values) }
        case 12:
            if dict & 1 == 1 { return Table(keys: keys, values: dict &+ 1) }
        default:
            let values = object &+ type.basicSize
            if type.hasInlineValues, let valid: UInt8 = pages.integer(at: values &+ UInt64(offsets.valuesValid ?? 0)),
                valid == 1
            {
                return Table(keys: keys, values: values &+ UInt64(offsets.valuesItems))
            }
        }
        return table(ofDict: dict)
    }

    /// What ``entries(_:limit:)`` reads of a table whose keys' head is here.
    func entryRanges(_ table: Table, limit: Int) -> [MemoryRange] {
        guard let place = place(table, limit: limit) else { return [] }
        var ranges = [MemoryRange(address: place.address, length: place.count * place.stride)]
        if table.values != 0 { ranges.append(MemoryRange(address: table.values, length: place.count * 8)) }
        return ranges
    }

    /// The first entries; deleted ones and attributes that are not set are left out.
    func entries(_ table: Table, limit: Int) -> [(key: UInt64, value: UInt64)] {
        guard let place = place(table, limit: limit) else { return [] }
        var result: [(key: UInt64, value: UInt64)] = []
        for index in 0..<place.count {
            let entry = place.address &+ UInt64(index * place.stride)
            guard let key = word(entry, place.stride - 16),
                let value = table.values == 0
                    ? word(entry, place.stride - 8) : word(table.values, index * 8)
            else { break }
            if key != 0, value != 0 { result.append((key, value)) }
        }
        return result
    }

    private func place(_ table: Table, limit: Int) -> (address: UInt64, stride: Int, count: Int)? {
        guard table.keys % 8 == 0, let count = word(table.keys, offsets.keysEntries), count > 0, count < 1 << 40 else {
            return nil
        }
        let indexBytes: UInt64
        var stride = 24  // hash, key, value
        if let log2 = offsets.keysLog2IndexBytes, let kind = offsets.keysKind {
            guard let bits: UInt8 = pages.integer(at: table.keys &+ UInt64(log2)), bits < 40,
                let keysKind: UInt8 = pages.integer(at: table.keys &+ UInt64(kind)), keysKind <= 2
            else { return nil }
            indexBytes = 1 << UInt64(bits)
            if keysKind != 0 { stride = 16 }  // the keys are strings, which keep their hash themselves
        } else {
            guard let size = word(table.keys, offsets.keysSize ?? 0), size > 0, size < 1 << 40 else { return nil }
            indexBytes = size * (size <= 0xFF ? 1 : size <= 0xFFFF ? 2 : size <= 0xFFFF_FFFF ? 4 : 8)
        }
        let first = table.keys &+ UInt64(offsets.keysIndices) &+ indexBytes
        return (first, stride, min(Int(count), limit, Self.maxEntries))
    }

    /// `module.Name`, without the module for built-in types.
    func qualifiedName(of type: PythonType) -> String {
        guard type.isHeapType, let dict = word(type.address, offsets.typeDict), let table = table(ofDict: dict),
            // `__module__` is the first thing that the body of a class sets.
            let entry = entries(table, limit: 16).first(where: { text($0.key, limit: 16) == "__module__" }),
            let module = text(entry.value, limit: 128), module != "builtins", !module.isEmpty
        else { return type.name.hasPrefix("builtins.") ? String(type.name.dropFirst(9)) : type.name }
        return type.name.hasPrefix(module + ".") ? type.name : "\(module).\(type.name)"
    }
}
