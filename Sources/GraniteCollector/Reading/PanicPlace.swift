// Finds where a panic of Rust was raised in code that was stripped of its symbols, as wheels are: the panic's machinery has a pointer to
// the place on its stack, a `core::panic::Location` (library/core/src/panic/location.rs) in the module's constants. Pure but for the reads.

import GraniteCrashChannel

/// A place that code of Rust may have panicked at. It may also be one that a caller left there.
package struct PanicPlace: Sendable, Equatable {
    /// `src/lib.rs:10:5`
    package var location: String
    /// Path of the module that has it.
    package var module: String

    /// The machinery's frames are the innermost ones.
    static let stackBytes = 8192
    static let maxCandidates = 128
    static let maxPathBytes = 300
    /// Path (pointer, length), line, column.
    private static let recordBytes = 24

    /// The words of a captured thread's stack, innermost first.
    static func stack(of page: CapturedPage) -> [UInt64] {
        guard let registers = page.threads.first?.registers, registers.count > Registers.stackPointer,
            let bytes = page.snapshot?.memory(at: registers[Registers.stackPointer], atMost: stackBytes)
        else { return [] }
        return bytes.withUnsafeBytes { raw in
            (0..<raw.count / 8).map { raw.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
    }

    /// The innermost place that the stack points to, one outside Rust's own library if there is any. Two round trips.
    static func find(stack: [UInt64], map: MemoryMap, memory: any RemoteMemory) -> PanicPlace? {
        var seen: Set<UInt64> = []
        var candidates: [(address: UInt64, mapping: Mapping)] = []
        for word in stack where word % 8 == 0 && seen.insert(word).inserted {
            guard candidates.count < maxCandidates else { break }
            guard let mapping = constants(word, map) else { continue }
            candidates.append((word, mapping))
        }
        guard !candidates.isEmpty else { return nil }
        let records = memory.read(candidates.map { MemoryRange(address: $0.address, length: recordBytes) })
        let places = zip(candidates, records).compactMap { candidate, bytes in
            bytes.flatMap { place($0, candidate.mapping, map) }
        }
        guard !places.isEmpty else { return nil }
        let paths = memory.read(places.map(\.path))
        let found = zip(places, paths).compactMap { place, bytes -> PanicPlace? in
            guard let bytes, let path = String(validating: bytes, as: UTF8.self), path.hasSuffix(".rs"),
                path.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
            else { return nil }
            return PanicPlace(location: "\(path):\(place.line):\(place.column)", module: place.module)
        }
        return found.first { !$0.location.hasPrefix("/rustc/") && !$0.location.hasPrefix("library/") } ?? found.first
    }

    /// The mapping of a file's constants that the address lies in: what is relocated is read-only afterwards.
    private static func constants(_ address: UInt64, _ map: MemoryMap) -> Mapping? {
        map.mapping(containing: address).flatMap { $0.isFile && $0.isReadable && !$0.isExecutable ? $0 : nil }
    }

    private static func place(
        _ bytes: [UInt8], _ mapping: Mapping, _ map: MemoryMap
    ) -> (path: MemoryRange, line: UInt32, column: UInt32, module: String)? {
        guard bytes.count == recordBytes else { return nil }
        return bytes.withUnsafeBytes { raw in
            let pointer = raw.loadUnaligned(as: UInt64.self)
            let length = raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            let line = raw.loadUnaligned(fromByteOffset: 16, as: UInt32.self)
            let column = raw.loadUnaligned(fromByteOffset: 20, as: UInt32.self)
            guard (4...UInt64(maxPathBytes)).contains(length), (1...1_000_000).contains(line),
                (1...10_000).contains(column), constants(pointer, map)?.path == mapping.path
            else { return nil }
            return (MemoryRange(address: pointer, length: Int(length)), line, column, mapping.path)
        }
    }
}
