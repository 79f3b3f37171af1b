// Rules for a program that ended itself: abort(3) with its message, heap corruption that glibc noticed, Swift's traps. Pure.

import Glibc
import GraniteReport

enum AbortRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal, facts.signalNumber == Int(SIGABRT) else { return nil }
        var evidence: [String] = []
        let caller = callerOfAbort(facts.frames)
        if let caller { evidence.append("\(caller) called abort") }
        let message = facts.abortMessage.map { Wording.trimmed($0) } ?? messageInLog(facts.logTail)
        if facts.abortMessage != nil {
            evidence.append("glibc's abort message: \(message ?? "")")
        } else if let message {
            evidence.append("the last message on stderr: \(message)")
        }

        if let message, isHeapCorruption(message) {
            let function = firstOutsideAllocator(facts.frames)
            return Verdict(
                .heapCorruption, .certain, evidence,
                MemoryFaultRule.sentence(
                    "glibc found the heap corrupted (\(message))\(function.map { " when \($0) was called" } ?? "")",
                    facts))
        }
        let who = caller.map { "\($0) called abort" } ?? "The program called abort"
        let said = message.map { ": \($0)" } ?? (Wording.pythonClause(facts.frames).map { ", \($0)" } ?? "")
        return Verdict(.abort, .certain, evidence, Wording.sentence(who + said))
    }

    /// Functions on the way from abort(3) to the signal, and those that only pass a message on.
    private static let machinery: Set<String> = [
        "pthread_kill_implementation", "pthread_kill_internal", "pthread_kill", "raise", "abort", "libc_message",
        "assert_fail_base",
        "assert_fail", "malloc_printerr", "fortify_fail", "chk_fail", "kill", "tgkill", "gsignal", "libc_message_impl",
    ]

    private static func callerOfAbort(_ frames: [Frame]) -> String? {
        for frame in frames.prefix(16) {
            guard let symbol = frame.symbol else { return nil }
            let name = Wording.bare(symbol)
            if machinery.contains(withoutUnderscores(name)) { continue }
            if frame.kind == .python { return "Python's \(Wording.python(frame))" }
            return name
        }
        return nil
    }

    /// glibc's internal names differ from the public ones in leading underscores.
    private static func withoutUnderscores(_ name: String) -> String { String(name.drop { $0 == "_" }) }

    private static let heapTexts = [
        "double free", "free(): ", "malloc(): ", "realloc(): ", "corrupted size", "munmap_chunk(): ",
        "malloc_consolidate(): ",
        "corrupted double-linked list", "invalid pointer", "corrupted unsorted chunks", "tcache", "sysmalloc",
    ]

    static func isHeapCorruption(_ message: String) -> Bool { heapTexts.contains { message.contains($0) } }

    private static func firstOutsideAllocator(_ frames: [Frame]) -> String? {
        let allocator: Set<String> = [
            "int_free", "int_malloc", "int_realloc", "free", "malloc", "realloc", "calloc", "cfree", "munmap_chunk",
            "libc_free",
            "libc_malloc", "libc_realloc", "malloc_consolidate", "unlink_chunk", "tcache_thread_shutdown", "systrim",
            "sysmalloc",
        ]
        for frame in frames.prefix(24) where frame.kind == .native {
            guard let symbol = frame.symbol.map(Wording.bare) else { return nil }
            let name = withoutUnderscores(symbol)
            if !machinery.contains(name), !allocator.contains(name) { return symbol }
        }
        return nil
    }

    /// Texts that runtimes print right before they abort; the last such line is taken.
    static func messageInLog(_ lines: [String]) -> String? {
        let starts = [
            "Fatal Python error:", "Fatal error:", "terminate called", "*** stack smashing detected",
            "*** buffer overflow detected",
        ]
        for line in lines.reversed() {
            let text = Wording.trimmed(line)
            if starts.contains(where: { text.contains($0) }) || isHeapCorruption(text) { return text }
            if text.contains("Assertion `") && text.contains("failed") { return text }
            if text.hasPrefix("thread '"), text.contains("panicked at") { return text }
        }
        return nil
    }
}

/// `ud2` and friends: a Swift precondition, or an instruction that the CPU does not know.
enum TrapRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        let number = facts.signalNumber
        guard facts.kind == .signal, [Int(SIGILL), Int(SIGTRAP)].contains(number) else { return nil }
        let innermost = facts.frames.prefix(8)
        let failure = innermost.compactMap(\.symbol).first { $0.hasPrefix("Swift runtime failure: ") }
        let assertion = innermost.contains { frame in
            let symbol = frame.symbol ?? ""
            return symbol.contains("_assertionFailure") || symbol.contains("_fatalErrorMessage")
                || symbol.contains("swift::fatalError")
                || symbol.contains("swift_abort")
        }
        let logged = facts.logTail.last { $0.contains("Fatal error:") }.map { Wording.trimmed($0) }
        let named = innermost.filter { frame in
            guard let symbol = frame.symbol else { return false }
            return !symbol.hasPrefix("Swift runtime failure") && !symbol.contains("Failure(")
                && !symbol.contains("_fatalErrorMessage")
        }
        // The standard library's generics are compiled into the caller's module: only its own functions are where the mistake is.
        let place =
            named.first { $0.inApp == true && $0.symbol?.contains("specialized ") != true }
            ?? named.first { $0.inApp == true } ?? named.first { $0.inlined != true }
        let location =
            place.map { frame in
                let line = frame.file.map { " (\(SourcePath.name($0))\(frame.line.map { ":\($0)" } ?? ""))" } ?? ""
                return " in \(frame.symbol ?? "?")\(line)"
            } ?? ""
        guard failure != nil || assertion || logged != nil else {
            guard number == Int(SIGILL) else {
                return Verdict(
                    .unknown, .likely, ["si_code is \(facts.signal?.codeName ?? "not known")"],
                    "The program stopped at a breakpoint instruction\(location).")
            }
            return Verdict(
                .illegalInstruction, .certain, ["si_code is \(facts.signal?.codeName ?? "not known")"],
                "The CPU met an instruction that it does not know\(location).")
        }
        var evidence: [String] = []
        if let failure { evidence.append("the trap was inlined from the pseudo function \"\(failure)\"") }
        if assertion { evidence.append("the innermost frames are those of Swift's failure reporting") }
        if let logged { evidence.append("stderr: \(logged)") }
        let what =
            failure.map { String($0.dropFirst("Swift runtime failure: ".count)) } ?? logged ?? "a precondition failed"
        return Verdict(
            .swiftTrap, .certain, evidence, Wording.sentence("Swift stopped the program\(location): \(what)"))
    }
}
