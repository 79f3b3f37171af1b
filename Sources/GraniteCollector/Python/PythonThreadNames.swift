// Defines how the names that a program gave its threads are found: from the outermost frame of each, which is a method
// of its threading.Thread.

struct PythonThreadNames {
    /// Characters.
    static let maxCharacters = 128
    /// Attributes of a thread object that are looked through; `_name` is among the first ten (threading.py).
    static let maxAttributes = 32

    let objects: PythonObjects

    /// By the position of a frame in `frames`: addresses of outermost frames that run `Thread._bootstrap`.
    func read(_ frames: [Int: UInt64]) -> [Int: String] {
        let offsets = objects.offsets
        objects.pages.fetch(
            frames.values.map { MemoryRange(address: $0 &+ UInt64(offsets.frameLocals), length: 8) })
        // The first variable of a method is its object.
        let threads = frames.compactMapValues { frame -> UInt64? in
            guard let thread = objects.word(frame, offsets.frameLocals), thread != 0, thread % 8 == 0 else {
                return nil
            }
            return thread
        }
        objects.pages.fetch(threads.values.map { MemoryRange(address: $0 &- 32, length: 256) })
        objects.fetch(Array(threads.values))
        // Up to 3.10 the attributes are in a dictionary of their own, later mostly beside the object.
        objects.fetch(threads.values.compactMap(dictionary), bytes: 48)
        let tables = threads.compactMapValues { objects.table(ofInstance: $0) }
        objects.pages.fetch(tables.values.map { MemoryRange(address: $0.keys, length: offsets.keysBytes) })
        objects.pages.fetch(tables.values.flatMap { objects.entryRanges($0, limit: Self.maxAttributes) })
        let attributes = tables.mapValues { objects.entries($0, limit: Self.maxAttributes) }
        objects.fetch(Array(Set(attributes.values.joined().map(\.key))))
        let names = attributes.compactMapValues { entries in
            entries.first { objects.text($0.key, limit: 16) == "_name" }?.value
        }
        objects.fetch(Array(names.values), bytes: 128)
        return names.compactMapValues { name in
            objects.text(name, limit: Self.maxCharacters).flatMap { $0.isEmpty ? nil : $0 }
        }
    }

    private func dictionary(_ thread: UInt64) -> UInt64? {
        guard let type = objects.type(of: thread), type.isHeapType else { return nil }
        if objects.layout.minor <= 10 || !type.hasManagedDict {
            return type.dictOffset > 0 ? objects.word(thread &+ UInt64(type.dictOffset), 0) : nil
        }
        return objects.word(thread &- 24, 0).flatMap { $0 & 1 == 1 ? nil : $0 }
    }
}
