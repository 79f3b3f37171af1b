// Counts the objects that Python's collector of cycles tracks: all of them cheaply, and by type when memory grows. It is separate because
// it is the only place that looks at objects that belong to no request.

import CPython

/// How many objects of each type there are.
package struct TypeCensus: Sendable, Equatable {
    /// By `module.Name`, without `builtins.`; the most frequent ones.
    package var counts: [String: Int]
    /// Collections that ran since the interpreter started, by generation; the last one is of all objects.
    package var collections: [Int]

    /// At most so many objects are looked at, evenly spread: some milliseconds.
    static let maxLooks = 500_000
    static let maxTypes = 400

    package init(counts: [String: Int], collections: [Int]) {
        self.counts = counts
        self.collections = collections
    }

    /// Collections of all objects that ran since.
    package func fullCollections(since before: TypeCensus) -> Int {
        max(0, (collections.last ?? 0) - (before.collections.last ?? 0))
    }

    /// The types of which there are more than before, the strongest growth first.
    package func growth(since before: TypeCensus, atMost limit: Int) -> [(type: String, before: Int, now: Int)] {
        let grown = counts.map { (type: $0.key, before: before.counts[$0.key] ?? 0, now: $0.value) }
        return Array(
            grown.filter { $0.now > $0.before }.sorted { ($1.now - $1.before, $0.type) < ($0.now - $0.before, $1.type) }
                .prefix(limit))
    }
}

extension PythonInterpreter {
    /// Counts now, with the GIL for up to about 50 ms, from any thread. nil if Python refuses.
    ///
    /// No collection runs meanwhile: objects that may only be freed on the thread that made them must not be freed on this one.
    package func takeCensus() -> TypeCensus? {
        withGIL { () -> TypeCensus? in
            guard let module = PyImport_ImportModule("gc") else {
                PyErr_Clear()
                return nil
            }
            defer { module.release() }
            let wasEnabled = call(module, "isenabled") { PyObject_IsTrue($0) == 1 } ?? false
            if wasEnabled { call(module, "disable") { _ in } }
            defer { if wasEnabled { call(module, "enable") { _ in } } }
            let collections = call(module, "get_stats", Self.collections) ?? []
            let counts = call(module, "get_objects", Self.counts)
            return counts.flatMap { $0 }.map { TypeCensus(counts: $0, collections: collections) }
        }
    }

    @discardableResult
    private func call<Value>(_ module: Object, _ name: String, _ body: (Object) -> Value) -> Value? {
        guard let function = module.attribute(name) else { return nil }
        defer { function.release() }
        guard let result = pythonCall(function) else {
            PyErr_Clear()
            return nil
        }
        defer { result.release() }
        return body(result)
    }

    /// Of `gc.get_stats()`: a dict a generation.
    private static func collections(_ stats: Object) -> [Int] {
        guard stats.isList, let key = PyUnicode_InternFromString("collections") else { return [] }
        defer { key.release() }
        var numbers: [Int] = []
        for index in 0..<PyList_Size(stats) {
            guard let generation = PyList_GetItem(stats, index), let get = generation.attribute("get") else { continue }
            defer { get.release() }
            guard let number = pythonCall(get, key) else {
                PyErr_Clear()
                continue
            }
            numbers.append(max(0, PyLong_AsLong(number)))
            PyErr_Clear()
            number.release()
        }
        return numbers
    }

    /// Of `gc.get_objects()`. The list keeps the objects, and they their types, until the names are read.
    private static func counts(_ objects: Object) -> [String: Int]? {
        guard objects.isList else { return nil }
        let size = PyList_Size(objects)
        let step = max(1, size / TypeCensus.maxLooks)
        var byType: [OpaquePointer: Int] = [:]
        for index in stride(from: 0, to: size, by: step) {
            guard let object = PyList_GetItem(objects, index) else { break }
            byType[object.pointee.ob_type, default: 0] += step
        }
        PyErr_Clear()
        var counts: [String: Int] = [:]
        for (type, count) in byType.sorted(by: { $0.value > $1.value }).prefix(TypeCensus.maxTypes) {
            counts[name(Object(type)), default: 0] += count
        }
        return counts
    }

    private static func name(_ type: Object) -> String {
        let name = PythonText.attribute(type, "__qualname__", limit: 120) ?? PythonText.name(ofType: type)
        let module = PythonText.attribute(type, "__module__", limit: 120)
        let full = module.map { $0 == "builtins" ? name : "\($0).\(name)" } ?? name
        return String(full.map { $0.isNewline ? " " : $0 })
    }
}

/// Where the collector of cycles counts: how many objects it tracks costs two loads. Objects that have not lived through a collection of
/// the middle generation, some thousands at most, are not among them.
package struct TrackedObjects: Sendable {
    // Of the interpreter, which lives as long as the process; written under the GIL, each store whole.
    private nonisolated(unsafe) let total: UnsafePointer<Int>

    /// Finds the counters behind two lists that Python shows: in the collector's state of 3.9 to 3.13 they follow `gc.garbage` and
    /// `gc.callbacks`. nil if they are not there.
    package init?(_ interpreter: PythonInterpreter) {
        let place = interpreter.withGIL { () -> UnsafePointer<Int>? in
            guard let module = PyImport_ImportModule("gc") else {
                PyErr_Clear()
                return nil
            }
            defer { module.release() }
            guard let garbage = module.attribute("garbage") else { return nil }
            defer { garbage.release() }
            guard let callbacks = module.attribute("callbacks") else { return nil }
            defer { callbacks.release() }
            guard let state = PyInterpreterState_Get() else { return nil }
            // Since 3.13 the state begins with what evaluates bytecode.
            let words = interpreter.installation.hexVersion >= 0x030d_0000 ? 1024 : 116
            let pair = (Int(bitPattern: garbage), Int(bitPattern: callbacks))
            let fields = state.assumingMemoryBound(to: Int.self)  // read as words, up to below the state's end
            guard let index = (0..<words).first(where: { fields[$0] == pair.0 && fields[$0 + 1] == pair.1 }) else {
                return nil
            }
            return UnsafePointer(fields + index + 2)
        }
        guard let place else { return nil }
        total = place
    }

    /// How many, without the GIL, from any thread.
    package var count: UInt64 { UInt64(max(0, total[0])) &+ UInt64(max(0, total[1])) }
}
