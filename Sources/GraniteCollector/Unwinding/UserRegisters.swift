// Defines the registers of a thread as the kernel gives them to a debugger and to a core dump (struct user_regs_struct, sys/user.h), and
// brings them into DWARF order. All architectures in one file, as with ``Registers``.

/// The kernel's words of one thread.
package struct UserRegisters: Equatable, Sendable {
    #if arch(x86_64)
    /// r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs.
    package static let count = 27
    private static let order = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16]
    #elseif arch(arm64)
    /// x0 to x30, sp, pc, pstate.
    package static let count = 34
    private static let order = Array(0...32)
    #endif

    private let words: [UInt64]

    /// nil unless all words are there.
    package init?(_ words: [UInt64]) {
        guard words.count >= Self.count else { return nil }
        self.words = words
    }

    package var dwarf: [UInt64] { Self.order.map { words[$0] } }

    /// fs_base, which equals pthread_self(). On arm64 the kernel keeps it elsewhere (NT_ARM_TLS): 0.
    package var threadPointer: UInt64 {
        #if arch(x86_64)
        words[21]
        #elseif arch(arm64)
        0
        #endif
    }
}
