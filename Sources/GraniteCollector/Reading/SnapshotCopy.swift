// Copies of a process's memory what a handler would have copied into its crash page: the vdso, the tops of all stacks, the code and the
// bytes near the registers of the crashed thread. So what comes after finds the same things in the same place.

import GraniteCrashChannel

enum SnapshotCopy {
    /// Of the stack of one thread; the handler's measure.
    static let stackBytes: UInt64 = 64 << 10
    static let codeBytesAround: UInt64 = 256
    static let bytesBeforeRegister: UInt64 = 256
    static let bytesAfterRegister: UInt64 = 768
    static let maxVDSOBytes: UInt64 = 64 << 10
    /// Threads whose stacks are copied; the rest are read when they are walked.
    static let maxThreads = 1024
    /// x86-64 code may use what lies right below its stack pointer (System V psABI, 3.2.2).
    static let redZone: UInt64 = 128

    /// One batch of reads.
    /// - Parameter threads: the crashed one first.
    static func take(_ threads: [RawThread], map: MemoryMap, memory: any RemoteMemory) -> CrashSnapshot {
        var wanted: [(kind: CrashSnapshot.Kind, range: MemoryRange)] = []
        func want(_ kind: CrashSnapshot.Kind, _ start: UInt64, _ end: UInt64, in mapping: Mapping) {
            let (start, end) = (max(start, mapping.start), min(end, mapping.end))
            guard start < end else { return }
            wanted.append((kind, MemoryRange(address: start, length: Int(min(end - start, stackBytes)))))
        }
        func around(_ kind: CrashSnapshot.Kind, _ address: UInt64, before: UInt64, after: UInt64) {
            guard let mapping = map.mapping(containing: address) else { return }
            let start = address < before ? 0 : address - before
            let (end, overflow) = address.addingReportingOverflow(after)
            want(kind, start, overflow ? .max : end, in: mapping)
        }
        if let vdso = map.mappings.first(where: { $0.path == "[vdso]" }), vdso.end - vdso.start <= maxVDSOBytes {
            want(.vdso, vdso.start, vdso.end, in: vdso)
        }
        if let crashed = threads.first, crashed.hasRegisters, crashed.registers.count > Registers.programCounter {
            around(
                .code, crashed.registers[Registers.programCounter], before: codeBytesAround, after: codeBytesAround)
            for (index, register) in crashed.registers.enumerated()
            where index != Registers.programCounter && index != Registers.stackPointer {
                around(.nearRegister, register, before: bytesBeforeRegister, after: bytesAfterRegister)
            }
        }
        for thread in threads.prefix(maxThreads) {
            guard thread.hasRegisters, thread.registers.count > Registers.stackPointer else { continue }
            let pointer = thread.registers[Registers.stackPointer]
            let low = (pointer < redZone ? 0 : pointer - redZone) & ~7
            // A stack that ran into its guard page goes on above it.
            guard let mapping = stack(at: low, map) else { continue }
            let start = max(low, mapping.start)
            want(.stack, start, mapping.end - start > stackBytes ? start + stackBytes : mapping.end, in: mapping)
        }
        let answers = memory.read(wanted.map(\.range))
        return CrashSnapshot(
            zip(wanted, answers).compactMap { wanted, bytes in
                bytes.map { .init(kind: wanted.kind, address: wanted.range.address, bytes: $0) }
            })
    }

    private static func stack(at pointer: UInt64, _ map: MemoryMap) -> Mapping? {
        if let mapping = map.mapping(containing: pointer), mapping.isReadable { return mapping }
        return map.mapping(above: pointer).flatMap { $0.isReadable ? $0 : nil }
    }
}
