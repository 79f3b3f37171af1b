// Concludes what the CPU met from the signal and the interrupted instruction. The handler of a worker is told by the kernel; a core dump
// and a debugger are not.

import Glibc
import GraniteCrashChannel

#if arch(x86_64)
/// Trap number and error code as far as they follow from the rest. Of the error code the bits for write and fetch alone: the bit that every
/// page fault of a program has (4, user) stays clear, by which it is known for a conclusion.
struct InferredTrap: Equatable {
    var trapNumber: UInt32 = 0
    var errorCode: UInt64 = 0

    init(signal: Int32, code: Int32, address: UInt64, programCounter: UInt64?, code bytes: [UInt8]) {
        switch signal {
        // SEGV_MAPERR, SEGV_ACCERR; BUS_ADRERR (sigaction(2)).
        case SIGSEGV where code == 1 || code == 2, SIGBUS where code == 2:
            trapNumber = 14
            if address == programCounter {
                errorCode = 0x10
            } else if let instruction = Instruction.decode(bytes), instruction.writes == true {
                errorCode = 2
            }
        // SI_KERNEL: a general protection fault.
        case SIGSEGV where code == 0x80: trapNumber = 13
        case SIGILL where code > 0: trapNumber = 6
        default: break
        }
    }
}
#else
struct InferredTrap: Equatable {
    var trapNumber: UInt32 = 0
    var errorCode: UInt64 = 0

    init(signal: Int32, code: Int32, address: UInt64, programCounter: UInt64?, code bytes: [UInt8]) {}
}
#endif
