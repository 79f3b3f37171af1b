// The rule for programs that Swift stopped, by a trap (ud2) or by its runtime's abort, and for instructions that the CPU does not know. Pure.

import Glibc
import GraniteReport

enum TrapRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal else { return nil }
        let innermost = facts.frames.prefix(12)
        switch Int32(truncatingIfNeeded: facts.signalNumber) {
        case SIGABRT:
            // The runtime's own failures (runtime/Errors.cpp, fatalErrorv) abort; the compiler's traps do not.
            guard innermost.contains(where: { $0.symbol?.hasPrefix("swift::fatalError") == true }) else { return nil }
            return swift(facts, innermost)
        case SIGILL, SIGTRAP:
            return swift(facts, innermost) ?? other(facts, innermost)
        default: return nil
        }
    }

    private static func swift(_ facts: CrashFacts, _ frames: ArraySlice<Frame>) -> Verdict? {
        let symbols = frames.compactMap(\.symbol)
        let failure = symbols.first { $0.hasPrefix(failurePrefix) }
        let reporting = symbols.prefix(8).lazy.compactMap { symbol in reporters.first { symbol.contains($0) } }.first
        let text = facts.logTail.suffix(RuntimeText.maxLines).reversed().lazy.compactMap {
            RuntimeText.swift(String($0.prefix(RuntimeText.maxCharacters)))
        }.first
        let check = symbols.prefix(8).lazy.compactMap(checks).first
        guard failure != nil || reporting != nil || check != nil || text != nil else { return nil }
        // A line of the log may be of any age: by itself it is believed where Swift's compiler traps, and nowhere else.
        let isTextAlone = failure == nil && reporting == nil && check == nil
        if isTextAlone, facts.signalNumber != Int(SIGABRT), facts.instruction?.text != "ud2" { return nil }
        var evidence: [String] = []
        if let failure { evidence.append("the trap was inlined from the pseudo function \"\(failure)\"") }
        if let reporting {
            evidence.append("the innermost frames are those of Swift's failure reporting (\(reporting))")
        }
        if let check { evidence.append("the check that failed: \(check.function)") }
        if let text { evidence.append("stderr: \(text.line)") }
        let what =
            text?.message ?? check?.meaning ?? failure.map { String($0.dropFirst(failurePrefix.count)) }
            ?? "a precondition failed"
        return Verdict(
            .swiftTrap, isTextAlone ? .likely : .certain, evidence,
            Wording.sentence("Swift stopped the program\(location(frames)): \(what)"))
    }

    private static let failurePrefix = "Swift runtime failure: "
    private static let reporters = [
        "_assertionFailure", "_fatalErrorMessage", "swift::fatalError", "swift_abort", "_unexpectedError",
        "_diagnoseUnexpectedEnumCase",
    ]

    /// Functions of the runtime that do one check, and what its failure means.
    private static func checks(_ symbol: String) -> (function: String, meaning: String)? {
        let known = [
            ("swift_dynamicCastFailure", "a forced cast (as!) to a type that the value does not have"),
            ("swift::runtime::AccessSet::insert", "overlapping accesses to one variable"),
            ("swift_abortRetainUnowned", "an unowned reference was used after its object was gone"),
            ("_swift_task_checkIsolated", "code of an actor ran outside of it"),
            ("swift_task_checkIsolated", "code of an actor ran outside of it"),
            ("swift_task_isCurrentExecutor", "code of an actor ran outside of it"),
            ("swift_task_reportUnexpectedExecutor", "code of an actor ran outside of it"),
            ("_dispatchPreconditionTest", "dispatchPrecondition: the code ran on another queue than it demands"),
        ]
        return known.first { symbol.contains($0.0) }.map { (symbol, $0.1) }
    }

    /// ` in function (File.swift:10)`.
    private static func location(_ frames: ArraySlice<Frame>) -> String {
        let named = frames.filter { frame in
            guard let symbol = frame.symbol else { return false }
            return !symbol.hasPrefix("Swift runtime failure") && !symbol.contains("Failure(")
                && !symbol.contains("_fatalErrorMessage") && !symbol.contains(".assumeIsolated")
                && !symbol.contains(".preconditionIsolated") && !symbol.contains(".assertIsolated")
        }
        // The standard library's generics are compiled into the caller's module, but their lines are not: only what has lines is the
        // program's own, be it a copy that the optimizer made ("specialized") or not.
        let place =
            named.first { $0.inApp == true && $0.file.map { !$0.hasPrefix("<") } ?? false }
            ?? named.first { $0.inApp == true } ?? named.first { $0.inlined != true }
        guard let place else { return "" }
        let line = place.file.map { " (\(SourcePath.name($0))\(place.line.map { ":\($0)" } ?? ""))" } ?? ""
        let specialized = "specialized "
        let symbol = place.symbol ?? "?"
        return " in \(symbol.hasPrefix(specialized) ? String(symbol.dropFirst(specialized.count)) : symbol)\(line)"
    }

    private static func other(_ facts: CrashFacts, _ frames: ArraySlice<Frame>) -> Verdict {
        var evidence = ["si_code is \(facts.signal?.codeName ?? "not known")"]
        let place = location(frames)
        guard facts.signalNumber == Int(SIGILL) else {
            return Verdict(.unknown, .likely, evidence, "The program stopped at a breakpoint instruction\(place).")
        }
        if facts.instruction?.text == "ud2" {
            evidence.append("the instruction is ud2, which compilers put where a program must not come to")
            return Verdict(
                .illegalInstruction, .certain, evidence,
                "The program came to a place that its compiler thought it never could\(place): the instruction is ud2.")
        }
        if !facts.code.isEmpty {
            let bytes = facts.code.prefix(facts.instruction?.length ?? 8).map {
                ($0 < 16 ? "0" : "") + String($0, radix: 16)
            }
            evidence.append("the bytes at the instruction pointer are \(bytes.joined(separator: " "))")
        }
        return Verdict(
            .illegalInstruction, .certain, evidence, "The CPU met an instruction that it does not know\(place).")
    }
}
