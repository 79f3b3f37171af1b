// Defines what differs between processors for whoever reads a capture: register names and roles in DWARF order, and what the trap words
// say of an access. All architectures in one file, so that none is forgotten.

/// What the CPU did when it met a fault.
package enum MemoryAccess: Sendable {
    case read, write, fetch
    /// The trap is no page fault, or the kernel did not say.
    case unknown
}

#if arch(x86_64)
/// System V psABI for x86-64, figure 3.36.
package enum Registers {
    package static let names = [
        "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "rip",
    ]
    package static let count = 17
    package static let framePointer = 6
    package static let stackPointer = 7
    package static let programCounter = 16
    /// The first argument of a system call; the kernel leaves it as it is (syscall(2)).
    package static let firstArgument = 5
    /// Swift keeps the asynchronous context here (swiftasynccc).
    package static let asyncContext = 14
    package static let architecture = "x86_64"
    /// What a return address takes on the stack when `call` pushed it; nil where it lives in a register.
    package static let pushedReturnAddressBytes: UInt64? = 8
    /// Addresses from here up to the mirrored range are not canonical: the CPU refuses them (Intel SDM volume 1, 3.3.7.1).
    package static let firstNonCanonical: UInt64 = 0x0000_8000_0000_0000
    package static let firstKernel: UInt64 = 0xffff_8000_0000_0000

    /// Exception 14 is the page fault; of its error code bit 1 says write, bit 4 instruction fetch (Intel SDM volume 3, 4.7). Other
    /// exceptions use these bits for something else.
    package static func access(trapNumber: UInt32, errorCode: UInt64) -> MemoryAccess {
        guard trapNumber == 14 else { return .unknown }
        return errorCode & 0x10 != 0 ? .fetch : errorCode & 2 != 0 ? .write : .read
    }
}
#elseif arch(arm64)
/// DWARF for the Arm 64-bit architecture, table 4.
package enum Registers {
    package static let names = (0...30).map { "x\($0)" } + ["sp", "pc"]
    package static let count = 33
    package static let framePointer = 29
    package static let stackPointer = 31
    package static let programCounter = 32
    package static let firstArgument = 0
    package static let asyncContext = 22
    package static let architecture = "aarch64"
    package static let pushedReturnAddressBytes: UInt64? = nil
    package static let firstNonCanonical: UInt64 = 0x0001_0000_0000_0000
    package static let firstKernel: UInt64 = 0xffff_0000_0000_0000

    /// The error code is ESR_EL1: class 0x20 is an instruction abort of user space, 0x24 a data abort, whose bit 6 (WnR) says write (Arm
    /// ARM, D17.2.37). The kernel gives no trap number.
    package static func access(trapNumber: UInt32, errorCode: UInt64) -> MemoryAccess {
        switch errorCode >> 26 & 0x3f {
        case 0x20: .fetch
        case 0x24: errorCode & 0x40 != 0 ? .write : .read
        default: .unknown
        }
    }
}
#endif
