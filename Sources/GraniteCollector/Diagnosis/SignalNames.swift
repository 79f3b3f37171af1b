// Names signals and their codes as sigaction(2) does.

import Glibc

package enum SignalNames {
    /// `SIGSEGV`; `signal 99` if it has no name.
    package static func name(of signal: Int) -> String { names[Int32(truncatingIfNeeded: signal)] ?? "signal \(signal)" }

    /// `SEGV_MAPERR`; nil if the code is not known for the signal.
    package static func codeName(_ code: Int, of signal: Int) -> String? {
        switch (Int32(truncatingIfNeeded: signal), code) {
        case (_, 0): "SI_USER"
        case (_, 0x80): "SI_KERNEL"
        case (_, -1): "SI_QUEUE"
        case (_, -2): "SI_TIMER"
        case (_, -3): "SI_MESGQ"
        case (_, -4): "SI_ASYNCIO"
        case (_, -5): "SI_SIGIO"
        case (_, -6): "SI_TKILL"
        case (SIGSEGV, 1): "SEGV_MAPERR"
        case (SIGSEGV, 2): "SEGV_ACCERR"
        case (SIGSEGV, 3): "SEGV_BNDERR"
        case (SIGSEGV, 4): "SEGV_PKUERR"
        case (SIGBUS, 1): "BUS_ADRALN"
        case (SIGBUS, 2): "BUS_ADRERR"
        case (SIGBUS, 3): "BUS_OBJERR"
        case (SIGBUS, 4): "BUS_MCEERR_AR"
        case (SIGBUS, 5): "BUS_MCEERR_AO"
        case (SIGILL, 1): "ILL_ILLOPC"
        case (SIGILL, 2): "ILL_ILLOPN"
        case (SIGILL, 3): "ILL_ILLADR"
        case (SIGILL, 4): "ILL_ILLTRP"
        case (SIGILL, 5): "ILL_PRVOPC"
        case (SIGILL, 6): "ILL_PRVREG"
        case (SIGILL, 7): "ILL_COPROC"
        case (SIGILL, 8): "ILL_BADSTK"
        case (SIGFPE, 1): "FPE_INTDIV"
        case (SIGFPE, 2): "FPE_INTOVF"
        case (SIGFPE, 3): "FPE_FLTDIV"
        case (SIGFPE, 4): "FPE_FLTOVF"
        case (SIGFPE, 5): "FPE_FLTUND"
        case (SIGFPE, 6): "FPE_FLTRES"
        case (SIGFPE, 7): "FPE_FLTINV"
        case (SIGFPE, 8): "FPE_FLTSUB"
        case (SIGTRAP, 1): "TRAP_BRKPT"
        case (SIGTRAP, 2): "TRAP_TRACE"
        case (SIGTRAP, 3): "TRAP_BRANCH"
        case (SIGTRAP, 4): "TRAP_HWBKPT"
        case (SIGSYS, 1): "SYS_SECCOMP"
        default: nil
        }
    }

    /// True where si_addr means something: the signal came from the CPU, not from a process.
    package static func hasAddress(signal: Int, code: Int) -> Bool {
        code > 0 && [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP].contains(Int32(truncatingIfNeeded: signal))
    }

    private static let names: [Int32: String] = [
        SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGTRAP: "SIGTRAP", SIGABRT: "SIGABRT",
        SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGUSR1: "SIGUSR1", SIGSEGV: "SIGSEGV", SIGUSR2: "SIGUSR2",
        SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM", SIGTERM: "SIGTERM", SIGSTKFLT: "SIGSTKFLT", SIGCHLD: "SIGCHLD", SIGCONT: "SIGCONT",
        SIGSTOP: "SIGSTOP", SIGTSTP: "SIGTSTP", SIGTTIN: "SIGTTIN", SIGTTOU: "SIGTTOU", SIGURG: "SIGURG", SIGXCPU: "SIGXCPU",
        SIGXFSZ: "SIGXFSZ", SIGVTALRM: "SIGVTALRM", SIGPROF: "SIGPROF", SIGWINCH: "SIGWINCH", SIGIO: "SIGIO", SIGPWR: "SIGPWR",
        SIGSYS: "SIGSYS",
    ]
}
