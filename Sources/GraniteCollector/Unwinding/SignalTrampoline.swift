// Recognizes the code that a signal handler returns to, where no call frame information marks it, and takes the interrupted registers
// from the frame that the kernel wrote. Pure.

enum SignalTrampoline {
    #if arch(x86_64)
    /// `mov $__NR_rt_sigreturn, %rax; syscall`: what every C library's restorer is, gdb knows it by the same bytes.
    static let code: [UInt8] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05]
    /// Where general registers lie above the stack pointer of the trampoline: `struct rt_sigframe` without its return address, then
    /// `uc_mcontext` (Linux, asm/sigframe.h, asm/sigcontext.h). DWARF number of each.
    private static let registersOffset: UInt64 = 40
    private static let order = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16]
    #elseif arch(arm64)
    /// `mov x8, #__NR_rt_sigreturn; svc #0`.
    static let code: [UInt8] = [0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4]
    /// Behind `siginfo_t` (128) lies the ucontext; its registers follow 168 bytes and the fault address.
    private static let registersOffset: UInt64 = 128 + 176 + 8
    private static let order = Array(0...32)
    #endif

    /// The interrupted frame's registers; nil if the kernel's frame cannot be read.
    static func interrupted(_ registers: RegisterSet, word: (UInt64) -> UInt64?) -> RegisterSet? {
        var result = registers
        for (position, register) in order.enumerated() {
            guard let value = word(registers.stackPointer &+ registersOffset &+ UInt64(8 * position)) else {
                return nil
            }
            result.set(register, value)
        }
        return result
    }
}
