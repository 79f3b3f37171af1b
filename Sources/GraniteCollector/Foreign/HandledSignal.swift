// Finds the fault behind a signal that a program's own handler sent on: faulthandler, Sentry and their like catch a fault, say what they have
// to say, and end the program by the same signal once more. The kernel's frame of the first one is still on the stack.

import Glibc

#if arch(x86_64)
/// What the kernel wrote for a handler: `struct rt_sigframe` (Linux, asm/sigframe.h), a return address, the ucontext, the siginfo.
struct HandledSignal: Equatable {
    /// Of the stack above the pointer.
    static let maxBytes: UInt64 = 64 << 10
    private static let contextOffset = 8
    private static let signalOffset = 8 + 304
    private static let frameBytes = signalOffset + 128
    /// Behind the general registers of `struct sigcontext`: rip, flags, segments, error code, trap number.
    private static let errorOffset = contextOffset + 40 + 19 * 8

    var code: Int32
    var address: UInt64
    var trapNumber: UInt32
    var errorCode: UInt64
    /// Of the interrupted code, in DWARF order.
    var registers: [UInt64]

    /// The innermost fault of this signal that a handler on the thread's stack was called for. A handler that returned before the signal came
    /// again has left its frame right below the stack pointer; it counts if it led back to where the thread is.
    static func find(_ number: Int32, on thread: RawThread, map: MemoryMap, memory: any RemoteMemory) -> HandledSignal?
    {
        guard thread.hasRegisters, let registers = RegisterSet(thread.registers) else { return nil }
        let start = registers.stackPointer & ~7
        guard let mapping = map.mapping(containing: start), mapping.isWritable else { return nil }
        let scan = Scan(number: number, registers: registers, map: map, memory: memory)
        let above = scan.frames(from: start, to: min(mapping.end, start &+ min(mapping.end - start, maxBytes)))
        if let found = above.first { return found }
        return scan.frames(from: max(mapping.start, start - min(start, maxBytes / 4)), to: start).last {
            $0.registers[Registers.programCounter] == registers.programCounter
                && $0.registers[Registers.stackPointer] == registers.stackPointer
        }
    }

    private struct Scan {
        let number: Int32
        let registers: RegisterSet
        let map: MemoryMap
        let memory: any RemoteMemory

        /// All frames of the signal between two addresses.
        func frames(from start: UInt64, to end: UInt64) -> [HandledSignal] {
            guard end > start, let stack = memory.read(at: start, length: Int(end - start)), stack.count >= frameBytes
            else { return [] }
            return stride(from: 0, through: stack.count - frameBytes, by: 8).compactMap { frame(stack, start, $0) }
        }

        private func frame(_ stack: [UInt8], _ start: UInt64, _ offset: Int) -> HandledSignal? {
            guard stack.number(Int32.self, at: offset + signalOffset) == number,
                let code = stack.number(Int32.self, at: offset + signalOffset + 8), code > 0,
                let restorer = stack.number(UInt64.self, at: offset),
                map.mapping(containing: restorer)?.isExecutable == true,
                memory.read(at: restorer, length: SignalTrampoline.code.count) == SignalTrampoline.code
            else { return nil }
            var context = registers
            context.set(Registers.stackPointer, start &+ UInt64(offset + contextOffset))
            let interrupted = SignalTrampoline.interrupted(context) { address in
                stack.number(UInt64.self, at: Int(clamping: address &- start))
            }
            guard let interrupted else { return nil }
            return HandledSignal(
                code: code, address: stack.number(UInt64.self, at: offset + signalOffset + 16) ?? 0,
                trapNumber: UInt32(truncatingIfNeeded: stack.number(UInt64.self, at: offset + errorOffset + 8) ?? 0),
                errorCode: stack.number(UInt64.self, at: offset + errorOffset) ?? 0, registers: interrupted.values)
        }
    }
}
#else
/// The kernel's frame of another processor is not read.
struct HandledSignal: Equatable {
    var code: Int32
    var address: UInt64
    var trapNumber: UInt32
    var errorCode: UInt64
    var registers: [UInt64]

    static func find(_ number: Int32, on thread: RawThread, map: MemoryMap, memory: any RemoteMemory) -> HandledSignal?
    {
        nil
    }
}
#endif
