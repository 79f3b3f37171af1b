// The rule for captures that the worker survived: a value released on the wrong thread, an exception that nobody could catch, a dump.
// Pure.

import GraniteReport

enum DropSiteRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        let subject = facts.dropSite?.subject.flatMap { $0.isEmpty ? nil : $0 }
        let message = facts.dropSite?.message.flatMap { $0.isEmpty ? nil : Wording.trimmed($0) }
        let here = Wording.thread(facts.threadName, facts.crashedTid)
        let isPython = facts.kind == .dropSite || facts.kind == .unraisable
        if isPython, let affinity = message.flatMap(AffinityMessage.init) {
            return ThreadAffinityStory(facts: facts, message: affinity).verdict
        }
        switch facts.kind {
        case .dropSite:
            let owner = facts.dropSite?.ownerTid.map { Wording.thread(facts.dropSite?.ownerName ?? "", $0) }
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
            var evidence = ["sys.unraisablehook was called on \(here)"]
            if let subject { evidence.append("the object is \(subject)") }
            let collection = CycleCollection(facts)
            if let clause = collection.evidence { evidence.append(clause) }
            let place = "on \(here)" + (collection.isRunning ? ", during garbage collection" : "")
            return Verdict(
                .unraisableException, .certain, evidence,
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
            // What reached Python. One that was captured where it happened has a rule of its own.
            guard let message, message.hasPrefix(panicException) else { return nil }
            return Verdict(
                .panic, .certain, [panicEvidence(facts.dropSite?.hook, here)],
                Wording.sentence("Rust code panicked on \(here): \(message.dropFirst(panicException.count))"))
        case .dump:
            // By a call from inside: one that came by signal has a rule of its own.
            if facts.dropSite?.hook == "c", let asked = message ?? subject {
                return Verdict(.dump, .certain, [], Wording.sentence("The program asked for a report: \(asked)"))
            }
            guard facts.hang == nil else { return nil }
            guard facts.isWorker else {
                let asked = (message ?? subject).map { ": \($0)" } ?? ""
                return Verdict(.dump, .certain, [], Wording.sentence("The program asked for a report" + asked))
            }
            return Verdict(.dump, .certain, [], "A person asked for a dump of the worker.")
        case .signal, .exit, .oomKill, .startup, .hang, .growth:
            return nil
        }
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
