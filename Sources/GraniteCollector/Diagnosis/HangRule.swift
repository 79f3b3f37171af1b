// The rule for captures that were asked for: what takes so long, told from the stacks. It says what a thread waits for, and never why it
// will not come. Pure.

import GraniteCrashChannel
import GraniteReport

enum HangRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard let hang = facts.hang else { return nil }
        switch facts.kind {
        case .dump:
            return Verdict(.dump, .certain, evidence(facts), dump(facts))
        case .hang:
            return Verdict(.hang, .certain, evidence(facts), Wording.sentence(hanging(facts, hang)))
        default: return nil
        }
    }

    // MARK: - The sentence

    private static func hanging(_ facts: CrashFacts, _ hang: CrashFacts.Hang) -> String {
        let activity = Activity(facts)
        let doing = activity.phrase.map { ", \($0)" } ?? ""
        if hang.cause == .stallTimeout {
            let since = hang.heartbeatAgeSeconds.flatMap(Quantity.duration(seconds:)).map { " for \($0)" } ?? ""
            return
                "The event loop has not turned\(since): thread \(facts.crashedTid) is \(activity.phrase ?? "running")"
        }
        let age = facts.requestAgeSeconds.flatMap(Quantity.duration(seconds:)) ?? "too long"
        let running = "\(facts.serving ?? "A request") has been running for \(age)\(doing)"
        guard hang.cause == .requestKillTimeout else { return running }
        return running + "; the worker was killed (--request-kill-timeout)"
    }

    private static func dump(_ facts: CrashFacts) -> String {
        let activity = Activity(facts)
        guard let serving = facts.serving else {
            if let program = facts.program {
                return "A dump of \(program)" + (activity.phrase.map { ": its first thread is \($0)." } ?? ".")
            }
            if facts.threads.first?.state == "event loop" {
                return "A dump of a worker that serves no request: its event loop waits for one."
            }
            return "A dump of a worker that serves no request" + (activity.phrase.map { ": it is \($0)." } ?? ".")
        }
        let age = facts.requestAgeSeconds.flatMap(Quantity.duration(seconds:)).map { " for \($0)" } ?? ""
        return "A dump while \(serving) was running\(age)" + (activity.phrase.map { ", \($0)." } ?? ".")
    }

    // MARK: - Evidence

    private static func evidence(_ facts: CrashFacts) -> [String] {
        let activity = Activity(facts)
        var evidence = activity.evidence
        switch facts.hang?.cause ?? CrashPage.Cause.none {
        case .requestTimeout: evidence.append("it has run longer than --request-timeout")
        case .requestKillTimeout: evidence.append("it has run longer than --request-kill-timeout")
        case .stallTimeout: evidence.append("the worker's heartbeat is older than --stall-timeout")
        case .asked, .none: break
        }
        let others = facts.threads.dropFirst()
        let waiting = others.filter { $0.state == "waiting for the GIL" }.count
        if activity.isWaitingForGIL, let holder = others.first(where: { $0.holdsGIL == true }) {
            let inner = Activity(frames: holder.frames ?? [], holdsGIL: true, state: holder.state)
            evidence.append("\(name(holder)) holds the GIL\(inner.phrase.map { ", \($0)" } ?? "")")
        } else if facts.threads.first?.holdsGIL == true {
            evidence.append(
                "it holds the GIL"
                    + (waiting > 0
                        ? ", for which \(Quantity.count(waiting, "other thread")) wait\(waiting == 1 ? "s" : "")" : ""))
        }
        return evidence
    }

    private static func name(_ thread: ThreadReport) -> String {
        thread.name.map { "thread \(thread.tid) \"\($0)\"" } ?? "thread \(thread.tid)"
    }
}

/// What a thread is doing, by its innermost frames.
struct Activity {
    /// `in time.sleep called by slow (app.py:42)`; nil if nothing is known.
    var phrase: String?
    var evidence: [String] = []
    var isWaitingForGIL = false

    /// Of the captured thread.
    init(_ facts: CrashFacts) {
        self.init(
            frames: facts.frames, holdsGIL: facts.threads.first?.holdsGIL ?? false, state: facts.threads.first?.state)
    }

    init(frames: [Frame], holdsGIL: Bool, state: String?) {
        let innermost = frames.prefix { $0.kind != .python }.compactMap { frame in
            frame.kind == .native ? frame.symbol.map(Wording.bare) : nil
        }
        isWaitingForGIL = state == "waiting for the GIL"
        let python = frames.filter { $0.kind == .python }
        // The application's line says more than a library's; both are told where they differ.
        let line = python.first { $0.inApp == true } ?? python.first
        let place = line.map(Wording.python)
        if isWaitingForGIL {
            phrase = "waiting for the GIL" + (place.map { " in \($0)" } ?? "")
            evidence.append("its innermost frames are in the interpreter's take_gil")
            return
        }
        if let wait = Self.waits.first(where: { wait in innermost.contains(where: wait.symbols.contains) }) {
            phrase = wait.phrase + (place.map { " called by \($0)" } ?? "")
            evidence.append("its innermost function is \(innermost.first ?? "not known")")
            return
        }
        if let innermost = innermost.first(where: {
            !$0.hasPrefix("_PyEval_EvalFrame") && $0 != "PyEval_EvalFrameDefault"
        }),
            !frames.isEmpty, frames.first?.kind == .native, state != "running" || !Self.isInterpreter(frames.first)
        {
            phrase = "in \(innermost)" + (place.map { " called by \($0)" } ?? "")
            evidence.append("its innermost function is \(innermost)")
            return
        }
        phrase = place.map { "running Python in \($0)" }
    }

    private static func isInterpreter(_ frame: Frame?) -> Bool {
        frame?.module.map { $0.contains("libpython") || SourcePath.name($0).hasPrefix("python3") } ?? false
    }

    /// CPython's functions behind the calls that wait, the most telling first. Names of Modules/*.c, the same from 3.9 to 3.13.
    private static let waits: [(symbols: Set<String>, phrase: String)] = [
        (["time_sleep", "pysleep"], "in time.sleep"),
        (["sock_recv", "sock_recv_impl", "sock_recv_into", "sock_recvfrom", "sock_recv_guts"], "in socket.recv"),
        (["sock_accept", "sock_accept_impl"], "in socket.accept"),
        (["sock_connect", "sock_connect_impl", "internal_connect"], "in socket.connect"),
        (["sock_send", "sock_sendall", "sock_send_impl"], "in socket.send"),
        (["PySSL_select", "_ssl__SSLSocket_read", "ssl__SSLSocket_read"], "in SSLSocket.read"),
        (["select_select", "select_select_impl"], "in select.select"),
        (["select_poll_poll", "select_poll_poll_impl"], "in poll"),
        (["select_epoll_poll", "select_epoll_poll_impl"], "in epoll.poll"),
        (["os_waitpid", "os_waitpid_impl", "os_wait4"], "in os.waitpid"),
        (["rlock_acquire"], "waiting for a lock (RLock.acquire)"),
        (["lock_PyThread_acquire_lock", "acquire_timed"], "waiting for a lock (Lock.acquire)"),
        (
            ["sre_ucs1_match", "sre_ucs2_match", "sre_ucs4_match", "sre_match", "pattern_match", "sre_ucs1_search"],
            "in a regular expression"
        ),
        (["usleep", "nanosleep", "clock_nanosleep", "sleep"], "in C code that sleeps"),
        (["flock", "fcntl_flock", "fcntl_lockf"], "waiting for a file's lock"),
    ]
}
