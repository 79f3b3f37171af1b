// Defines the names of Linux signals and of their codes. Own tables: glibc's sigdescr_np(3) knows no codes, and a report may be
// read on another machine. Numbers are those of x86_64 and aarch64 (signal(7), asm-generic/siginfo.h).

package enum SignalName {
    /// `SIGSEGV` of 11, `SIGRTMIN+3` of 37, `signal 99` of what Linux does not have.
    package static func name(_ number: Int) -> String {
        if let name = names[number] { return name }
        // The kernel's first real-time signal is 32; glibc keeps 32 and 33 for its own use.
        if number == 34 { return "SIGRTMIN" }
        return (35...64).contains(number) ? "SIGRTMIN+\(number - 34)" : "signal \(number)"
    }

    /// `SEGV_MAPERR` of (11, 1), `SI_USER` of (any, 0); nil if the kernel defines no such code.
    package static func codeName(signal: Int, code: Int) -> String? {
        if let name = sentBy[code] { return name }
        guard let names = codes[signal], (1...names.count).contains(code) else { return nil }
        return names[code - 1]
    }

    /// True if the code says that a process sent the signal, so that its pid and uid are known (sigaction(2)).
    package static func hasSender(code: Int) -> Bool { code == 0 || code == -1 || code == -6 }

    private static let names: [Int: String] = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
        9: "SIGKILL",
        10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 16: "SIGSTKFLT",
        17: "SIGCHLD",
        18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP", 21: "SIGTTIN", 22: "SIGTTOU", 23: "SIGURG", 24: "SIGXCPU",
        25: "SIGXFSZ",
        26: "SIGVTALRM", 27: "SIGPROF", 28: "SIGWINCH", 29: "SIGIO", 30: "SIGPWR", 31: "SIGSYS",
    ]

    /// Codes that any signal may have.
    private static let sentBy: [Int: String] = [
        0: "SI_USER", 0x80: "SI_KERNEL", -1: "SI_QUEUE", -2: "SI_TIMER", -3: "SI_MESGQ", -4: "SI_ASYNCIO",
        -5: "SI_SIGIO",
        -6: "SI_TKILL", -7: "SI_DETHREAD", -60: "SI_ASYNCNL",
    ]

    /// By signal; the first name is code 1.
    private static let codes: [Int: [String]] = [
        4: [
            "ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC",
            "ILL_BADSTK", "ILL_BADIADDR",
        ],
        5: ["TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT", "TRAP_UNK", "TRAP_PERF"],
        7: ["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO"],
        8: [
            "FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV",
            "FPE_FLTSUB", "__FPE_DECOVF",
            "__FPE_DECDIV", "__FPE_DECERR", "__FPE_INVASC", "__FPE_INVDEC", "FPE_FLTUNK", "FPE_CONDTRAP",
        ],
        11: [
            "SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR", "SEGV_ACCADI", "SEGV_ADIDERR", "SEGV_ADIPERR",
            "SEGV_MTEAERR",
            "SEGV_MTESERR", "SEGV_CPERR",
        ],
        17: ["CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"],
        29: ["POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP"],
        31: ["SYS_SECCOMP", "SYS_USER_DISPATCH"],
    ]
}
