// Defines the registers of one frame while a stack is walked: what callers' values are known, and which are lost.

/// Registers in DWARF order (``Registers``). A register that a callee overwrote without saving is unknown.
struct RegisterSet: Equatable {
    private(set) var values: [UInt64]
    /// Bit n: register n is known.
    private var known: UInt64

    /// Nil unless there are as many values as the architecture has registers.
    init?(_ values: [UInt64]) {
        guard values.count >= Registers.count else { return nil }
        self.values = Array(values.prefix(Registers.count))
        known = (1 << UInt64(Registers.count)) - 1
    }

    var programCounter: UInt64 { values[Registers.programCounter] }
    var stackPointer: UInt64 { values[Registers.stackPointer] }

    /// The value, or nil if it is not known. Any number may be asked for.
    subscript(register: Int) -> UInt64? {
        guard register >= 0, register < values.count, known & (1 << UInt64(register)) != 0 else { return nil }
        return values[register]
    }

    mutating func set(_ register: Int, _ value: UInt64) {
        guard register >= 0, register < values.count else { return }
        values[register] = value
        known |= 1 << UInt64(register)
    }

    mutating func forget(_ register: Int) {
        guard register >= 0, register < values.count else { return }
        known &= ~(1 << UInt64(register))
    }
}
