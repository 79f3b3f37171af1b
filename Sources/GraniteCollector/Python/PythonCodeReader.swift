// Defines how code objects become names and line tables: all of a process's at once, each once, and none that is not
// proved to be one.

/// A function as its code object describes it.
struct PythonCode: Sendable {
    var file: String
    var name: String
    var lines: PythonLineTable?
    /// Bytes of instructions; nil before 3.11, which keeps them elsewhere.
    var instructionBytes: Int?
    /// The interpreter's own: 3.12 and later run an inlined `__init__` above such a frame (_Py_InitCleanup, ceval.c).
    var isTrampoline: Bool
}

/// Reads code objects in four batches: the objects, their strings' headers and types, the characters, the types of
/// those.
struct PythonCodeReader {
    static let maxCodes = 16384
    static let maxLineTableBytes = 1 << 20
    /// Of all code objects together.
    static let maxTotalLineTableBytes = 16 << 20
    /// CPython has one type each for code, str and bytes.
    private static let maxTypes = 64

    private let layout: PythonLayout
    private let pages: RemotePages
    /// Names of types by address; nil once tried.
    private var typeNames: [UInt64: String?] = [:]

    init(layout: PythonLayout, pages: RemotePages) {
        self.layout = layout
        self.pages = pages
    }

    /// The code objects at the addresses. What is missing in the answer is no readable code object.
    mutating func read(_ addresses: Set<UInt64>) -> [UInt64: PythonCode] {
        let addresses = addresses.sorted().prefix(Self.maxCodes)
        pages.fetch(addresses.map { MemoryRange(address: $0, length: layout.codeBytes) })
        learnTypes(of: Array(addresses))
        let parts = addresses.filter { isType("code", $0) }.compactMap(readParts)
        pages.fetch(
            parts.flatMap { [$0.file, $0.name, $0.lineTable] }.map {
                MemoryRange(address: $0, length: layout.textHeaderBytes)
            })
        learnTypes(of: parts.flatMap { [$0.file, $0.name, $0.lineTable] })

        var texts: [UInt64: PythonText] = [:]
        var tables: [UInt64: MemoryRange] = [:]
        var tableBytes = 0
        for part in parts {
            for object in [part.file, part.name] where texts[object] == nil { texts[object] = text(object) }
            if tables[part.lineTable] == nil, let range = lineTable(part.lineTable) {
                tableBytes += range.length
                if tableBytes <= Self.maxTotalLineTableBytes { tables[part.lineTable] = range }
            }
        }
        pages.fetch(
            texts.values.map { MemoryRange(address: $0.data, length: $0.count * $0.width) } + Array(tables.values))
        let strings = texts.compactMapValues { text in
            text.count == 0 ? "" : pages.bytes(at: text.data, count: text.count * text.width).map(text.decode)
        }

        var codes: [UInt64: PythonCode] = [:]
        for part in parts {
            guard let file = strings[part.file], let name = strings[part.name] else { continue }
            let table = tables[part.lineTable].flatMap {
                $0.length == 0 ? [] : pages.bytes(at: $0.address, count: $0.length)
            }
            codes[part.code] = PythonCode(
                file: file, name: name,
                lines: table.map { PythonLineTable(format: layout.lineTable, bytes: $0, firstLine: part.firstLine) },
                instructionBytes: part.instructionBytes,
                // One static string serves as its file and its name, and no line of any file starts it.
                isTrampoline: part.file == part.name && part.firstLine == 0 && name == "__init__")
        }
        return codes
    }

    private struct Parts {
        var code: UInt64
        var file: UInt64
        var name: UInt64
        var lineTable: UInt64
        var firstLine: Int
        var instructionBytes: Int?
    }

    private func readParts(_ code: UInt64) -> Parts? {
        guard let file: UInt64 = pages.integer(at: code &+ UInt64(layout.codeFile)),
            let name: UInt64 = pages.integer(at: code &+ UInt64(layout.codeQualifiedName ?? layout.codeName)),
            let lineTable: UInt64 = pages.integer(at: code &+ UInt64(layout.codeLineTable)),
            let firstLine: Int32 = pages.integer(at: code &+ UInt64(layout.codeFirstLine)), firstLine >= 0
        else { return nil }
        var parts = Parts(code: code, file: file, name: name, lineTable: lineTable, firstLine: Int(firstLine))
        if layout.codeInstructions != nil {
            guard let units: Int64 = pages.integer(at: code &+ UInt64(layout.objectSize)), (1..<1 << 30).contains(units)
            else { return nil }
            parts.instructionBytes = Int(units) * 2
        }
        return parts
    }

    private func text(_ object: UInt64) -> PythonText? {
        guard isType("str", object), let length: UInt64 = pages.integer(at: object &+ UInt64(layout.textLength)),
            let state: UInt32 = pages.integer(at: object &+ UInt64(layout.textState))
        else { return nil }
        return PythonText(object: object, length: length, state: state, layout: layout)
    }

    private func lineTable(_ object: UInt64) -> MemoryRange? {
        guard isType("bytes", object), let size: UInt64 = pages.integer(at: object &+ UInt64(layout.objectSize)),
            size <= UInt64(Self.maxLineTableBytes)
        else { return nil }
        return MemoryRange(address: object &+ UInt64(layout.bytesData), length: Int(size))
    }

    /// Reads the names of types not seen before. The objects' first words are in the cache already.
    private mutating func learnTypes(of objects: [UInt64]) {
        var new: Set<UInt64> = []
        for object in objects {
            guard let type: UInt64 = pages.integer(at: object &+ UInt64(layout.objectType)), typeNames[type] == nil
            else { continue }
            if typeNames.count + new.count < Self.maxTypes { new.insert(type) }
        }
        pages.fetch(new.map { MemoryRange(address: $0 &+ UInt64(layout.typeName), length: 8) })
        let names: [(type: UInt64, name: UInt64?)] = new.map { ($0, pages.integer(at: $0 &+ UInt64(layout.typeName))) }
        pages.fetch(names.compactMap { $0.name.map { MemoryRange(address: $0, length: 8) } })
        for (type, name) in names {
            // "code", "str" and "bytes" with their terminators fit into eight bytes.
            let bytes = name.flatMap { pages.bytes(at: $0, count: 8) }
            typeNames[type] = .some(bytes.map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
    }

    private func isType(_ name: String, _ object: UInt64) -> Bool {
        guard let type: UInt64 = pages.integer(at: object &+ UInt64(layout.objectType)), let known = typeNames[type]
        else { return false }
        return known == name
    }
}
