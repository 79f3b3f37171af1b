// The rule for captures that the worker survived: a value released on the wrong thread, an exception that nobody could catch, a dump.
// Pure.

import GraniteReport

enum DropSiteRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        let subject = facts.dropSite?.subject.flatMap { $0.isEmpty ? nil : $0 }
        let message = facts.dropSite?.message.flatMap { $0.isEmpty ? nil : Wording.trimmed($0) }
        let here = thread(facts.threadName, facts.crashedTid)
        switch facts.kind {
        case .dropSite:
            let owner = facts.dropSite?.ownerTid.map { thread(facts.dropSite?.ownerName ?? "", $0) }
            // The words of ThreadBound, which uses one kind of capture for both mistakes.
            let verb = message?.contains("is being used on another thread") == true ? "used" : "released"
            var evidence = ["it was \(verb) on \(here)"]
            if let owner { evidence.append("it belongs to \(owner)") }
            if let message { evidence.append(message) }
            return Verdict(
                .threadAffinity, .certain, evidence,
                Wording.sentence(
                    "\(subject ?? "A value") was \(verb) on \(here)" + (owner.map { ", but belongs to \($0)" } ?? "")))
        case .unraisable:
            let unsendable = message?.contains("is unsendable, but is being dropped on another thread") == true
            var evidence = ["sys.unraisablehook was called on \(here)"]
            if let subject { evidence.append("the object is \(subject)") }
            let collection = collection(facts)
            switch collection {
            case .onThread:
                evidence.append("the garbage collector was running on that thread: the line it interrupted is innocent")
            case .inProcess:
                evidence.append("a garbage collection was under way in the process: the line shown may be innocent")
            case .none: break
            }
            let place = "on \(here)" + (collection == .none ? "" : ", during garbage collection")
            return Verdict(
                unsendable ? .threadAffinity : .unraisableException, .certain, evidence,
                Wording.sentence(
                    "An exception could not be raised \(place)" + ((message ?? subject).map { ": \($0)" } ?? "")))
        case .threadException:
            return Verdict(
                .uncaughtThreadException, .certain, ["threading.excepthook was called on \(here)"],
                Wording.sentence("An exception ended \(here)" + (message.map { ": \($0)" } ?? "")))
        case .uncaughtException:
            return Verdict(
                .uncaughtException, .certain, ["sys.excepthook was called on \(here)"],
                Wording.sentence("Nobody caught an exception on \(here)" + (message.map { ": \($0)" } ?? "")))
        case .panic:
            // Where it came to Python's hooks; at the place of the panic there are other words.
            guard let message, message.hasPrefix(panicException) else { return nil }
            return Verdict(
                .panic, .certain, [panicEvidence(facts.dropSite?.hook, here)],
                Wording.sentence("Rust code panicked on \(here): \(message.dropFirst(panicException.count))"))
        case .dump:
            // By a call from inside: one that came by signal has a rule of its own.
            return facts.hang == nil ? Verdict(.dump, .certain, [], "A person asked for a dump of the worker.") : nil
        case .signal, .exit, .oomKill, .startup, .hang, .growth:
            return nil
        }
    }

    private enum Collection { case onThread, inProcess, none }

    /// CPython's flag is one for all threads of an interpreter; which of them collects, its native frames say.
    private static func collection(_ facts: CrashFacts) -> Collection {
        if facts.isCollectingGarbage == false { return .none }
        if facts.frames.contains(where: { $0.kind == .native && $0.symbol?.hasPrefix("gc_collect") == true }) {
            return .onThread
        }
        return facts.isCollectingGarbage == true ? .inProcess : .none
    }

    private static func thread(_ name: String, _ tid: Int) -> String {
        name.isEmpty ? "thread \(tid)" : "thread \"\(name)\" (\(tid))"
    }

    /// How PyO3 calls a panic in Python.
    private static let panicException = "PanicException: "

    /// Who noticed it. The panic itself may be long over: Python code ran between.
    private static func panicEvidence(_ hook: String?, _ here: String) -> String {
        switch hook {
        case "unraisable": "sys.unraisablehook was called with it on \(here)"
        case "threading": "threading.excepthook was called with it on \(here)"
        case "sys": "sys.excepthook was called with it on \(here)"
        default: "the application's call ended with it on \(here)"
        }
    }
}
