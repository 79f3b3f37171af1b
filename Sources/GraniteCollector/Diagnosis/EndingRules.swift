// Rules for ends that nothing inside the worker saw coming: the OOM killer, a signal from outside, an exit code, a failed start. They
// state what the kernel reported, and do not guess beyond it. Pure.

import Glibc
import GraniteReport

enum OutOfMemoryRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .oomKill else { return nil }
        let kills = facts.oomKills ?? 0
        let rss =
            facts.rssBytes > 0 ? " Its resident memory was \(Wording.size(facts.rssBytes)) when last sampled." : ""
        return Verdict(
            .outOfMemory, .certain, ["the cgroup's oom_kill counter rose by \(kills) while the worker died of SIGKILL"],
            "The kernel killed the worker because its cgroup was out of memory." + rss)
    }
}

enum StartupRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .startup else { return nil }
        let how = ExitRule.ending(facts.exit)
        let error = lastError(facts.logTail)
        return Verdict(
            .startupFailure, .certain,
            ["the worker had not become ready", how] + (error.map { ["the last error on stderr: \($0)"] } ?? []),
            Wording.sentence("The worker \(how) before it was ready" + (error.map { ": \($0)" } ?? "")))
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
                "The worker \(ending(exit)) without being asked to stop.")
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
                .killedByProcess, .certain, ["si_pid is the worker's own pid"],
                MemoryFaultRule.sentence("The worker sent \(name) to itself", facts))
        }
        return Verdict(
            .killedByProcess, .certain, ["si_pid is \(sender.pid), si_uid is \(sender.uid)"],
            "Process \(sender.pid) of user \(sender.uid) sent \(name) to the worker.")
    }

    private static func uncaptured(_ facts: CrashFacts) -> Verdict? {
        guard let name = facts.exit?.signal ?? facts.signal?.name else { return nil }
        let number = Int32(truncatingIfNeeded: facts.exit?.number ?? facts.signalNumber)
        var evidence = ["waitpid: died of \(name)"]
        switch number {
        case SIGKILL:
            if facts.oomKills == 0 { evidence.append("the cgroup's oom_kill counter did not move") }
            return Verdict(
                .killedByProcess, facts.oomKills == 0 ? .likely : .possible, evidence,
                "The worker was killed with SIGKILL; the kernel does not tell by whom.")
        case SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS:
            let why =
                facts.level == "off" ? "nothing was captured, because the level is off" : "its handler did not run"
            evidence.append(why)
            if let message = AbortRule.messageInLog(facts.logTail), number == SIGABRT {
                evidence.append("the last message on stderr: \(message)")
                return Verdict(.abort, .likely, evidence, Wording.sentence("The worker died of \(name): \(message)"))
            }
            return Verdict(.unknown, .possible, evidence, "The worker died of \(name); \(why).")
        default:
            return Verdict(
                .killedByProcess, .likely, evidence,
                "The worker was ended by \(name), which its supervisor had not sent.")
        }
    }
}
