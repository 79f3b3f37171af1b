// Defines the evaluation of DWARF expressions in call frame information (DWARF 5, 2.5): the PLT's and the signal trampoline's rows are
// such. Bounded, and every operand is foreign: an operation that is not known here ends the evaluation.

import CElfutils

/// An expression, copied out of libdw's memory.
struct CallFrameExpression: Equatable {
    static let maxOperations = 64
    private static let maxDepth = 64

    struct Operation: Equatable {
        var code: UInt8
        var number: UInt64
        var number2: UInt64
    }

    private let operations: [Operation]

    init?(_ operations: UnsafeMutablePointer<Dwarf_Op>?, count: Int) {
        guard let operations, count > 0, count <= Self.maxOperations else { return nil }
        self.operations = UnsafeBufferPointer(start: operations, count: count).map {
            Operation(code: $0.atom, number: $0.number, number2: $0.number2)
        }
    }

    init(_ operations: [Operation]) { self.operations = operations }

    /// `register + offset`, which is what most are.
    var registerOffset: (register: Int, offset: UInt64)? {
        guard operations.count == 1, let only = operations.first else { return nil }
        switch only.code {
        case 0x70...0x8f: return (Int(only.code) - 0x70, only.number)  // DW_OP_breg0…31
        case 0x92: return only.number < 64 ? (Int(only.number), only.number2) : nil  // DW_OP_bregx
        default: return nil
        }
    }

    /// The value on top of the stack at the end; nil for a register that is not known, memory that cannot be read, or nonsense.
    /// - Parameter cfa: the canonical frame address, if it is known already.
    func evaluate(_ registers: RegisterSet, cfa: UInt64?, word: (UInt64) -> UInt64?) -> UInt64? {
        var stack: [UInt64] = []
        func pop() -> UInt64? { stack.popLast() }
        for operation in operations {
            guard stack.count < Self.maxDepth else { return nil }
            switch operation.code {
            case 0x9c:  // DW_OP_call_frame_cfa
                guard let cfa else { return nil }
                stack.append(cfa)
            case 0x70...0x8f:  // DW_OP_breg0…31
                guard let value = registers[Int(operation.code) - 0x70] else { return nil }
                stack.append(value &+ operation.number)
            case 0x92:  // DW_OP_bregx
                guard operation.number < 64, let value = registers[Int(operation.number)] else { return nil }
                stack.append(value &+ operation.number2)
            case 0x50...0x6f:  // DW_OP_reg0…31
                guard let value = registers[Int(operation.code) - 0x50] else { return nil }
                stack.append(value)
            case 0x90:  // DW_OP_regx
                guard operation.number < 64, let value = registers[Int(operation.number)] else { return nil }
                stack.append(value)
            case 0x30...0x4f: stack.append(UInt64(operation.code) - 0x30)  // DW_OP_lit0…31
            case 0x08...0x11: stack.append(operation.number)  // DW_OP_const1u…consts; libdw has extended the sign
            case 0x06:  // DW_OP_deref
                guard let address = pop(), let value = word(address) else { return nil }
                stack.append(value)
            case 0x94:  // DW_OP_deref_size
                guard let address = pop(), (1...8).contains(operation.number), let value = word(address) else {
                    return nil
                }
                stack.append(operation.number == 8 ? value : value & ((1 << (operation.number * 8)) - 1))
            case 0x12, 0x14, 0x15, 0x16, 0x17, 0x13:
                guard Self.shuffle(operation, &stack) else { return nil }
            case 0x1f:  // DW_OP_neg
                guard let value = pop() else { return nil }
                stack.append(0 &- value)
            case 0x20:  // DW_OP_not
                guard let value = pop() else { return nil }
                stack.append(~value)
            case 0x23:  // DW_OP_plus_uconst
                guard let value = pop() else { return nil }
                stack.append(value &+ operation.number)
            case 0x1a, 0x1c, 0x1e, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x29...0x2e:
                guard let right = pop(), let left = pop() else { return nil }
                stack.append(Self.binary(operation.code, left, right))
            case 0x96, 0x9f: continue  // DW_OP_nop, DW_OP_stack_value
            default: return nil
            }
        }
        return stack.last
    }

    /// dup, drop, over, pick, swap, rot.
    private static func shuffle(_ operation: Operation, _ stack: inout [UInt64]) -> Bool {
        let depth = stack.count
        switch operation.code {
        case 0x12 where depth >= 1: stack.append(stack[depth - 1])
        case 0x13 where depth >= 1: stack.removeLast()
        case 0x14 where depth >= 2: stack.append(stack[depth - 2])
        case 0x15 where operation.number < UInt64(depth): stack.append(stack[depth - 1 - Int(operation.number)])
        case 0x16 where depth >= 2: stack.swapAt(depth - 1, depth - 2)
        case 0x17 where depth >= 3: stack.insert(stack.removeLast(), at: depth - 3)
        default: return false
        }
        return true
    }

    private static func binary(_ code: UInt8, _ left: UInt64, _ right: UInt64) -> UInt64 {
        let (a, b) = (Int64(bitPattern: left), Int64(bitPattern: right))
        return switch code {
        case 0x1a: left & right
        case 0x1c: left &- right
        case 0x1e: left &* right
        case 0x21: left | right
        case 0x22: left &+ right
        case 0x24: right < 64 ? left << right : 0
        case 0x25: right < 64 ? left >> right : 0
        case 0x26: UInt64(bitPattern: a >> min(Int64(63), max(0, b)))
        case 0x27: left ^ right
        case 0x29: a == b ? 1 : 0
        case 0x2a: a >= b ? 1 : 0
        case 0x2b: a > b ? 1 : 0
        case 0x2c: a <= b ? 1 : 0
        case 0x2d: a < b ? 1 : 0
        default: a != b ? 1 : 0
        }
    }
}
