// Defines which generation a running garbage collection works on, told from the counters that it resets when it begins.

enum PythonCollection {
    /// gcmodule.c: a collection of generation N adds one to the counter of N + 1 and clears those up to N. So while it runs
    /// the middle counter is 0 unless N is 0, and the oldest is 0 only if N is 2. nil if the counters cannot be found.
    static func generation(interpreter: UInt64, offsets: PythonObjectLayout, pages: RemotePages) -> Int? {
        // A later 3.13 (by 3.13.5) gave PyGC_Head an alignment of four, which moved the generations by half a word and
        // nothing else: the head of a list, 20 bytes before its counter, says which of both it is.
        for shift in [0, 4] {
            let middle = interpreter &+ UInt64(offsets.interpreterMiddleGeneration - shift)
            let old = interpreter &+ UInt64(offsets.interpreterOldGeneration - shift)
            guard isListHead(middle &- 20, pages), isListHead(old &- 20, pages),
                let middleCount: Int32 = pages.integer(at: middle), let oldCount: Int32 = pages.integer(at: old),
                middleCount >= 0, oldCount >= 0
            else { continue }
            return middleCount > 0 ? 0 : oldCount > 0 ? 1 : 2
        }
        return nil
    }

    /// Two pointers, to objects or, while the list is empty, to itself; the collector keeps flags in the lowest two bits of
    /// the second.
    private static func isListHead(_ address: UInt64, _ pages: RemotePages) -> Bool {
        guard let next: UInt64 = pages.integer(at: address), let previous: UInt64 = pages.integer(at: address &+ 8)
        else {
            return false
        }
        return [next & ~1, previous & ~3].allSatisfy {
            ($0 % 8 == 0 || $0 == address) && (0x1000..<1 << 47).contains($0)
        }
    }
}
