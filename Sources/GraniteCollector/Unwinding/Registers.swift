// Defines the register names and roles of x86_64 in DWARF order (System V psABI, figure 3.36). One file per architecture.

#if arch(x86_64)
package enum Registers {
    package static let names = [
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "rip",
    ]
    package static let count = 17
    package static let stackPointer = 7
    package static let programCounter = 16
    /// Swift keeps the asynchronous context here (swiftasynccc).
    package static let asyncContext = 14
    package static let architecture = "x86_64"
    /// What a return address takes on the stack when `call` pushed it; nil where it lives in a register.
    package static let pushedReturnAddressBytes: UInt64? = 8
    /// Addresses from here up to the mirrored range are not canonical: the CPU refuses them (Intel SDM volume 1, 3.3.7.1).
    package static let firstNonCanonical: UInt64 = 0x0000_8000_0000_0000
    package static let firstKernel: UInt64 = 0xffff_8000_0000_0000
}
#elseif arch(arm64)
package enum Registers {
    package static let names = (0...30).map { "x\($0)" } + ["sp", "pc"]
    package static let count = 33
    package static let stackPointer = 31
    package static let programCounter = 32
    package static let asyncContext = 22
    package static let architecture = "aarch64"
    package static let pushedReturnAddressBytes: UInt64? = nil
    package static let firstNonCanonical: UInt64 = 0x0001_0000_0000_0000
    package static let firstKernel: UInt64 = 0xffff_0000_0000_0000
}
#endif
