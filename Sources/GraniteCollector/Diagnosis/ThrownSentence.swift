// Defines what is said of an exception that nothing caught, by what was noted as it was thrown and by the stack, without a word of the
// runtime's on stderr. Pure.

import GraniteReport

enum ThrownSentence {
    /// `std::runtime_error was thrown 0.2 ms before in app::load (app.cpp:20)`.
    static func evidence(_ thrown: ThrownException, crashedTid: Int) -> String {
        var words = thrown.type ?? (thrown.language == "Rust" ? "a panic" : "an exception")
        words += thrown.language == "Rust" ? " was raised" : " was thrown"
        if let age = thrown.ageMilliseconds { words += " \(milliseconds(age)) before" }
        if let site = thrown.frames.flatMap(AbortRule.site) { words += " in \(site.name)\(site.place)" }
        if let tid = thrown.tid, tid != crashedTid { words += ", on thread \(tid)" }
        return words
    }

    private static func milliseconds(_ age: Double) -> String {
        guard age.isFinite, age >= 0, age < 1e12 else { return "some time" }
        if age < 1000 { return "\(Double(Int(age * 10)) / 10) ms" }
        return "\(Int(age / 1000)) s"
    }

    /// The sentence on an exception of C++; `who` is believed where it was not noted who threw it.
    static func uncaught(_ type: String, who: String, said: String, _ facts: CrashFacts) -> String {
        let site = facts.thrown?.frames.flatMap(AbortRule.site)
        let isInside = facts.frames.prefix(16).contains { frame in
            frame.symbol?.contains("_personality_v0") == true || frame.symbol?.hasPrefix("__cxa_call_terminate") == true
        }
        let end = isInside ? "which a noexcept function may not let out" : "which nothing caught"
        return Wording.sentence("\(site?.name ?? who) threw \(type)\(site?.place ?? ""), \(end)\(said)")
    }

    /// For code without names that called abort: Rust's machinery, if the stack points to a place in the same module.
    static func likelyPanic(_ facts: CrashFacts) -> String? {
        guard let place = facts.panicPlace,
            let caller = facts.frames.prefix(16).first(where: {
                $0.kind == .native && $0.module.map { !SourcePath.name($0).hasPrefix("libc.so") } == true
            }), caller.symbol == nil, caller.module == place.module
        else { return nil }
        return Wording.sentence(
            "\(SourcePath.name(place.module)) called abort, likely because code of Rust panicked (\(place.location))"
                + (Wording.pythonClause(facts.frames).map { ", \($0)" } ?? ""))
    }

    /// What the stack of an abort says of a panic or an exception; nil if it was neither.
    static func ofStack(_ facts: CrashFacts) -> String? {
        let site = AbortRule.site(facts.frames)
        let who = site?.name ?? "The program"
        if RuntimeTextProof(.rust, facts.frames) == .proven {
            let python = Wording.pythonClause(facts.frames).map { ", \($0)" } ?? ""
            return Wording.sentence("\(who) panicked\(site?.place ?? "")\(python)")
        }
        guard RuntimeTextProof(.cxx, facts.frames) == .proven else { return nil }
        if facts.frames.prefix(RuntimeTextProof.depth).contains(where: { $0.symbol == "__cxa_pure_virtual" }) {
            return "\(who) called a pure virtual function: the object was being made or destroyed, or is freed."
        }
        guard facts.thrown != nil || ThrownExceptions.isInFlight(facts.frames) else {
            return "\(who) called std::terminate."
        }
        return uncaught(facts.thrown?.type ?? "an exception", who: who, said: "", facts)
    }
}
