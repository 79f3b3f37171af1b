// Defines one row of the call frame table (DWARF 5, 6.4): how the caller's registers are found from the callee's at one address. Rows are
// copied out of libdw once per address, so that a walk over a hundred thousand frames of the same few functions costs a few loads each.

import CElfutils

struct CallFrameRow {
    enum Rule: Equatable {
        case undefined
        /// Saved at the canonical frame address plus this.
        case memory(offset: UInt64)
        /// Is the canonical frame address plus this.
        case value(offset: UInt64)
        case register(Int)
        case expression(CallFrameExpression, isAddress: Bool)
    }

    enum FrameAddress: Equatable {
        case register(Int, offset: UInt64)
        case expression(CallFrameExpression)
    }

    var frameAddress: FrameAddress
    /// Registers that differ in the caller; the others are the same.
    var rules: [(register: Int, rule: Rule)]
    var returnAddressRegister: Int
    /// True for the frame that calls a signal handler: its caller was interrupted, it made no call.
    var isSignalFrame: Bool
    /// True if a rule needs the callee's registers themselves.
    private var readsRegisters: Bool

    init(
        frameAddress: FrameAddress, rules: [(register: Int, rule: Rule)], returnAddressRegister: Int,
        isSignalFrame: Bool
    ) {
        self.frameAddress = frameAddress
        self.rules = rules
        self.returnAddressRegister = returnAddressRegister
        self.isSignalFrame = isSignalFrame
        readsRegisters = rules.contains {
            switch $0.rule {
            case .register, .expression: true
            case .undefined, .memory, .value: false
            }
        }
    }

    /// Copies the row out of libdw's; nil for one that cannot be used.
    init?(_ frame: OpaquePointer) {
        var isSignalFrame = false
        let returnAddressRegister = Int(dwarf_frame_info(frame, nil, nil, &isSignalFrame))
        guard returnAddressRegister >= 0, returnAddressRegister < Registers.count else { return nil }
        var operations: UnsafeMutablePointer<Dwarf_Op>?
        var count = 0
        guard dwarf_frame_cfa(frame, &operations, &count) == 0,
            let expression = CallFrameExpression(operations, count: count)
        else { return nil }
        var rules: [(register: Int, rule: Rule)] = []
        for register in 0..<Registers.count {
            // What the stack pointer was is the canonical frame address, by definition.
            if register == Registers.stackPointer { continue }
            guard let rule = Self.rule(frame, register) else { continue }
            rules.append((register, rule))
        }
        self.init(
            frameAddress: expression.registerOffset.map { .register($0.register, offset: $0.offset) }
                ?? .expression(expression),
            rules: rules, returnAddressRegister: returnAddressRegister, isSignalFrame: isSignalFrame)
        // A signal's trampoline restores the stack pointer from the kernel's frame, which need not be the same stack.
        if isSignalFrame, let rule = Self.rule(frame, Registers.stackPointer) {
            self.rules.append((Registers.stackPointer, rule))
            readsRegisters = true
        }
    }

    /// Nil for "same value".
    private static func rule(_ frame: OpaquePointer, _ register: Int) -> Rule? {
        var memory = [Dwarf_Op](repeating: Dwarf_Op(), count: 3)
        return memory.withUnsafeMutableBufferPointer { memory -> Rule? in
            guard let base = memory.baseAddress else { return .undefined }
            var operations: UnsafeMutablePointer<Dwarf_Op>?
            var count = 0
            guard dwarf_frame_register(frame, Int32(register), base, &operations, &count) == 0 else {
                return .undefined
            }
            guard let operations else { return nil }
            guard count > 0 else { return .undefined }
            let isValue = operations[count - 1].atom == 0x9f  // DW_OP_stack_value
            let length = isValue ? count - 1 : count
            if length == 1, operations[0].atom == 0x90, !isValue {  // DW_OP_regx
                return operations[0].number < 64 ? .register(Int(operations[0].number)) : .undefined
            }
            if length <= 2, operations[0].atom == 0x9c, length == 1 || operations[1].atom == 0x23 {
                let offset = length == 1 ? 0 : operations[1].number
                return isValue ? .value(offset: offset) : .memory(offset: offset)
            }
            guard let expression = CallFrameExpression(operations, count: count) else { return .undefined }
            return .expression(expression, isAddress: !isValue)
        }
    }

    /// Where the caller's frame begins on the stack; nil if a register is not known.
    func frameAddress(_ registers: RegisterSet, word: (UInt64) -> UInt64?) -> UInt64? {
        switch frameAddress {
        case .register(let register, let offset): registers[register].map { $0 &+ offset }
        case .expression(let expression): expression.evaluate(registers, cfa: nil, word: word)
        }
    }

    /// Turns the callee's registers into the caller's, given the canonical frame address. False if the return address could not be read:
    /// the registers are then as they were.
    func apply(_ registers: inout RegisterSet, cfa: UInt64, word: (UInt64) -> UInt64?) -> Bool {
        let before = readsRegisters ? registers : nil
        guard let returnAddress = value(of: returnAddressRegister, registers, cfa: cfa, word: word) else {
            return false
        }
        for (register, rule) in rules {
            if let value = value(rule, before ?? registers, cfa: cfa, word: word) {
                registers.set(register, value)
            } else {
                registers.forget(register)
            }
        }
        if !isSignalFrame { registers.set(Registers.stackPointer, cfa) }
        registers.set(Registers.programCounter, returnAddress)
        return true
    }

    /// True if the return address is undefined: the outermost frame says so (psABI, "Unwinding Through Assembler Code").
    var isOutermost: Bool {
        rules.contains { $0.register == returnAddressRegister && $0.rule == .undefined }
    }

    private func value(of register: Int, _ registers: RegisterSet, cfa: UInt64, word: (UInt64) -> UInt64?) -> UInt64? {
        for (other, rule) in rules where other == register { return value(rule, registers, cfa: cfa, word: word) }
        return registers[register]
    }

    private func value(_ rule: Rule, _ registers: RegisterSet, cfa: UInt64, word: (UInt64) -> UInt64?) -> UInt64? {
        switch rule {
        case .undefined: nil
        case .memory(let offset): word(cfa &+ offset)
        case .value(let offset): cfa &+ offset
        case .register(let other): registers[other]
        case .expression(let expression, let isAddress):
            expression.evaluate(registers, cfa: cfa, word: word).flatMap { isAddress ? word($0) : $0 }
        }
    }
}
