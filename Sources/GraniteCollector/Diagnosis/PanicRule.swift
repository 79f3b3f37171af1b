// The rule for a panic of Rust that was captured where it happened: what it does to the process, its callers decide afterwards. Pure.

import GraniteReport

enum PanicRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .panic else { return nil }
        let text = RuntimeText.last(in: facts.logTail) { $0.source == .rust }
        let site = AbortRule.site(facts.frames)
        let thread = Wording.thread(facts.threadName, facts.crashedTid)
        var evidence = ["Rust's runtime raised a panic on \(thread)"]
        if let text { evidence.append("the last message on stderr: \(text.line)") }
        evidence.append("the panic may have been caught: the process went on")
        let known = (text?.location).map { " (\(SourcePath.name($0)))" } ?? site?.place
        let place = known ?? facts.panicPlace.map { " (\($0.location))" } ?? ""
        let said = text.map { $0.message.isEmpty ? "" : ": \($0.message)" } ?? ""
        let python = Wording.pythonClause(facts.frames).map { ", \($0)" } ?? ""
        let who = site?.name ?? "A function of \(facts.panicPlace.map { SourcePath.name($0.module) } ?? "Rust")"
        return Verdict(.panic, .certain, evidence, Wording.sentence("\(who) panicked\(place)\(python)\(said)"))
    }
}
