// Defines the first line's statement, and the sentence for a report that has none of its own.

import GraniteReport

enum Headline {
    /// `worker 2 died of SIGSEGV`. The beginning of the first line and this statement do not change between versions: people grep for them.
    /// With an id of 26 digits before it, it must be short.
    static func statement(_ report: CrashReport) -> String {
        let who =
            report.worker?.slot.map { "worker \($0)" } ?? report.process?.program.map { TerminalText.cutEnd(TerminalText.neutralised($0), columns: 16) }
            ?? report.process?.pid.map { "process \($0)" } ?? "a process"
        let exit = report.process?.exit
        switch report.kind {
        case .oomKill: return "\(who) was OOM-killed"
        case .startup: return "\(who) failed to start"
        case .hang: return "\(who) hangs"
        case .dump: return "\(who), dump on request"
        case .dropSite: return "\(who): drop on wrong thread"
        case .unraisable: return "\(who): unraisable exception"
        case .threadException: return "\(who): exception in a thread"
        case .panic: return "\(who): Rust panic"
        case .growth: return "\(who): memory grows"
        case .uncaughtException: return "\(who): uncaught exception"
        case .signal, .exit, nil:
            if let signal = report.signal?.name ?? exit?.signal
                ?? (report.signal?.number ?? exit?.number).map(SignalName.name)
            {
                return "\(who) \(deaths.contains(signal) ? "died of" : "was killed by") \(signal)"
            }
            if let code = exit?.code { return "\(who) exited with code \(code)" }
            return report.kind == nil && report.worker == nil && report.process == nil
                ? "nothing is known" : "\(who) ended, how is not known"
        }
    }

    /// Signals that a program brings upon itself.
    private static let deaths: Set<String> = [
        "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGSYS", "SIGXCPU", "SIGXFSZ",
    ]

    /// The report's reason, else what can be said without one.
    static func reason(_ report: CrashReport) -> String {
        if let reason = report.reason, !reason.isEmpty { return reason }
        if let message = report.dropSite?.message { return message }
        if let signal = report.signal {
            let code = signal.codeName.map { " (\($0))" } ?? ""
            return "\(signal.name ?? "A signal")\(code)\(signal.address.map { " at \($0)" } ?? ""). Why is not known."
        }
        if let code = report.process?.exit?.code { return "It exited with code \(code). Why is not known." }
        return "The report holds no reason."
    }

    /// Why there is no stack, for the deaths that leave none.
    static func missingStack(_ report: CrashReport) -> String {
        let signal = report.process?.exit?.signal ?? report.signal?.name
        switch report.kind {
        case .startup: return "No stack: it ended before it served. The last lines below say why."
        case .oomKill: return "No stack: the kernel kills without letting the process run again."
        case .exit where signal == nil: return "No stack: it ended by exit(3) or _exit(2), which no handler sees."
        default:
            return signal == "SIGKILL" || signal == "SIGSTOP"
                ? "No stack: \(signal ?? "") cannot be caught." : "No stack: the report holds no threads."
        }
    }
}
