// Rules for ends that nothing inside the worker saw coming: the OOM killer, a signal from outside, an exit code, a failed start. They
// state what the kernel reported, and do not guess beyond it. Pure.

import Glibc
import GraniteCrashChannel
import GraniteReport

/// The supervisor itself sent the SIGKILL, and says why.
enum SupervisorKillRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard let because = facts.killedBecause, facts.kind != .startup else { return nil }
        return Verdict(
            .killedBySupervisor, .certain,
            ["the supervisor sent the SIGKILL that ended it"],
            Wording.sentence("The supervisor killed the \(facts.noun): \(because)" + EndingWords.serving(facts)))
    }
}

enum OutOfMemoryRule {
    /// SIGKILL, and the kernel says so: its log names the process, or its counter moved and the log cannot be read. A log that names other
    /// victims alone speaks against it.
    static func isOOMKill(_ status: ExitStatus, _ exited: SupervisorMessage.Exited) -> Bool {
        guard status.number == Int(SIGKILL), exited.killedBecause == nil else { return false }
        if exited.memory?.oomKill != nil { return true }
        return exited.oomKills ?? 0 > 0 && exited.memory?.kernelLogRead != true
    }

    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .oomKill else { return nil }
        let record = facts.memory?.oomKill
        var evidence = record?.text.map { ["the kernel's log: \($0)"] } ?? []
        let kills = facts.oomKills ?? 0
        if kills > 0 {
            evidence.append("the cgroup's oom_kill counter rose by \(kills) while the \(facts.noun) died of SIGKILL")
        }
        if record == nil { evidence.append("the kernel's log, which would name the victim, cannot be read here") }
        return Verdict(
            .outOfMemory, record == nil ? .likely : .certain, evidence,
            Wording.sentence(cause(facts, record) + growth(facts) + EndingWords.serving(facts)))
    }

    private static func cause(_ facts: CrashFacts, _ record: OOMKillRecord?) -> String {
        let limit = facts.memory?.cgroup?.limitBytes.map { " of \(Quantity.memory($0))" } ?? ""
        switch record?.wholeSystem {
        case true?: return "The kernel killed the \(facts.noun) because the machine was out of memory"
        case false?: return "The kernel killed the \(facts.noun) because its cgroup was at its memory limit\(limit)"
        case nil:
            return limit.isEmpty
                ? "The kernel's OOM killer killed the \(facts.noun)"
                : "The kernel's OOM killer killed the \(facts.noun), whose cgroup has a memory limit\(limit)"
        }
    }

    private static func growth(_ facts: CrashFacts) -> String {
        guard let memory = facts.memory else { return "" }
        let last = memory.lastBytes(peak: facts.maxRSSBytes)
        guard last > 0 else { return "" }
        guard let growth = memory.growth(to: last), let span = Quantity.duration(seconds: growth.seconds) else {
            return "; it had \(Quantity.memory(last))"
        }
        return "; it had grown from \(Quantity.memory(growth.from)) to \(Quantity.memory(last)) in \(span)"
    }
}

/// What any death that left no stack is told with.
enum EndingWords {
    /// ` while it served a request`.
    static func serving(_ facts: CrashFacts) -> String {
        switch facts.requestsInFlight {
        case 0: ""
        case 1: " while it served a request"
        default: " while it served \(facts.requestsInFlight) requests"
        }
    }
}

enum StartupRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .startup else { return nil }
        let how = ExitRule.ending(facts.exit)
        let error = lastError(facts.logTail)
        let last = error.map { ["the last error on stderr: \($0)"] } ?? []
        if let because = facts.killedBecause {
            return Verdict(
                .startupFailure, .certain,
                ["the \(facts.noun) had not become ready", "the supervisor sent the SIGKILL that ended it"] + last,
                Wording.sentence("The supervisor killed the \(facts.noun): \(because)"))
        }
        return Verdict(
            .startupFailure, .certain, ["the \(facts.noun) had not become ready", how] + last,
            Wording.sentence("The \(facts.noun) \(how) before it was ready" + (error.map { ": \($0)" } ?? "")))
    }

    /// The exception line that closes the last Python traceback, or the last line that speaks of an error.
    static func lastError(_ lines: [String]) -> String? {
        if let traceback = lines.lastIndex(where: { $0.hasPrefix("Traceback (most recent call last)") }) {
            let exception = lines[(traceback + 1)...].first { line in
                guard let first = line.first else { return false }
                return !first.isWhitespace
            }
            if let exception { return Wording.trimmed(exception) }
        }
        return lines.last { $0.contains("Error") || $0.contains("error") }.map { Wording.trimmed($0) }
    }
}

enum ExitRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .exit, let exit = facts.exit else { return nil }
        let error = StartupRule.lastError(facts.logTail)
        let last = error.map { ["the last error on stderr: \($0)"] } ?? []
        guard exit.code == nil else {
            return Verdict(
                .exitCode, .certain, ["waitpid: \(ending(exit))"] + last,
                "The \(facts.noun) \(ending(exit))\(facts.isWorker ? " without being asked to stop" : "")\(EndingWords.serving(facts))."
            )
        }
        return nil
    }

    /// `exited with code 7`, `died of SIGKILL`.
    static func ending(_ exit: ExitStatus?) -> String {
        if let code = exit?.code { return "exited with code \(code)" }
        if let signal = exit?.signal { return "died of \(signal)" }
        return "ended"
    }
}

/// A signal that some process sent, or that came without a capture.
enum SentSignalRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal else { return nil }
        if facts.registers.isEmpty { return uncaptured(facts) }
        guard let sender = facts.signal?.sender, let name = facts.signal?.name else { return nil }
        if sender.pid == facts.pid || sender.pid == 0 {
            // abort(3) and raise(3) send the signal to the own thread; abort has its own rule.
            guard facts.signalNumber != Int(SIGABRT) else { return nil }
            return Verdict(
                .killedByProcess, .certain, ["si_pid is the \(facts.noun)'s own pid"],
                MemoryFaultRule.sentence("The \(facts.noun) sent \(name) to itself", facts))
        }
        return Verdict(
            .killedByProcess, .certain, ["si_pid is \(sender.pid), si_uid is \(sender.uid)"],
            "Process \(sender.pid) of user \(sender.uid) sent \(name) to the \(facts.noun).")
    }

    private static func uncaptured(_ facts: CrashFacts) -> Verdict? {
        guard let name = facts.exit?.signal ?? facts.signal?.name else { return nil }
        let number = Int32(truncatingIfNeeded: facts.exit?.number ?? facts.signalNumber)
        var evidence = ["waitpid: died of \(name)"]
        switch number {
        case SIGKILL: return killed(facts, evidence)
        case SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS:
            let why =
                facts.level == "off" ? "nothing was captured, because the level is off" : "its handler did not run"
            evidence.append(why)
            if let message = AbortRule.messageInLog(facts.logTail), number == SIGABRT {
                evidence.append("the last message on stderr: \(message)")
                return Verdict(
                    .abort, .likely, evidence, Wording.sentence("The \(facts.noun) died of \(name): \(message)"))
            }
            return Verdict(.unknown, .possible, evidence, "The \(facts.noun) died of \(name); \(why).")
        default:
            return Verdict(
                .killedByProcess, .likely, evidence,
                "The \(facts.noun) was ended by \(name), \(facts.isWorker ? "which its supervisor had not sent" : "and nothing was captured")\(EndingWords.serving(facts))."
            )
        }
    }

    /// SIGKILL that the OOM killer is not known to have sent. Who did is known to nobody: it cannot be caught, and waitpid(2) has no sender.
    private static func killed(_ facts: CrashFacts, _ evidence: [String]) -> Verdict {
        var evidence = evidence
        let (own, system) = (facts.oomKills, facts.memory?.systemOOMKills)
        let isLogRead = facts.memory?.kernelLogRead == true
        if let own {
            evidence.append(
                own == 0 ? "the cgroup's oom_kill counter did not move" : "the cgroup's oom_kill counter rose by \(own)"
            )
        }
        if let system {
            evidence.append(
                system == 0
                    ? "no process of the whole machine was OOM-killed (/proc/vmstat)"
                    : "the whole machine's oom_kill counter rose by \(system)")
        }
        if isLogRead { evidence.append("the kernel's log does not name this process") }
        let serving = EndingWords.serving(facts)
        // The counters move before the victim dies: one that stood still rules the OOM killer out.
        if system == 0 || isLogRead || own == 0 {
            return Verdict(
                .killedByProcess, system == 0 || isLogRead ? .certain : .likely, evidence,
                "The \(facts.noun) was killed with SIGKILL\(serving)\(facts.isWorker ? " by some process" : ""), not by the OOM killer; the kernel does not tell by whom."
            )
        }
        if system ?? 0 > 0 {
            return Verdict(
                .outOfMemory, .possible, evidence,
                "The \(facts.noun) was killed with SIGKILL\(serving), and the OOM killer struck on this machine meanwhile; whether it was this \(facts.noun) cannot be read here."
            )
        }
        return Verdict(
            .killedByProcess, .possible, evidence + ["no counter of OOM kills can be read here"],
            "The \(facts.noun) was killed with SIGKILL\(serving), by \(facts.isWorker ? "some process" : "somebody") or by the OOM killer; nothing that can be read here tells which."
        )
    }
}
