// The rule for a program that ended itself by SIGABRT: abort(3) with its message, heap corruption that glibc noticed, C++ exceptions, Rust
// panics, failed assertions. Pure.

import Glibc
import GraniteReport

enum AbortRule {
    static func verdict(_ facts: CrashFacts) -> Verdict? {
        guard facts.kind == .signal, facts.signalNumber == Int(SIGABRT) else { return nil }
        let kept = facts.abortMessage.map { Wording.trimmed($0) }
        // A line of the log may be of any age, and of a panic that was caught: the stack must have what wrote it.
        let text =
            kept.map(fromGlibc)
            ?? RuntimeText.last(in: facts.logTail) { RuntimeTextProof($0.source, facts.frames) != .refuted }
        let ofStack = ThrownSentence.ofStack(facts)
        let isProven = kept != nil || text.map { RuntimeTextProof($0.source, facts.frames) == .proven } ?? true
        let caller = caller(facts.frames)
        var evidence = [
            caller.map { account(of: $0, text, throughRuntime: ofStack != nil, facts) } ?? "the signal is SIGABRT"
        ]
        if let kept {
            evidence.append("glibc's abort message: \(kept)")
        } else if let text {
            evidence.append("the last message on stderr: \(text.line)")
        }
        if let thrown = facts.thrown { evidence.append(ThrownSentence.evidence(thrown, crashedTid: facts.crashedTid)) }
        let likely = text == nil && ofStack == nil ? ThrownSentence.likelyPanic(facts) : nil
        if likely != nil, let place = facts.panicPlace {
            evidence.append("the stack points to a place in code of Rust, \(place.location)")
        }
        let reason =
            if let text, isProven { sentence(text, caller, facts) } else {
                ofStack ?? likely ?? plain(caller, facts, hint: text)
            }
        let isHeap = text.map { $0.source == .glibc && isHeapCorruption($0.message) } ?? false
        let isCertain = (isProven || ofStack != nil) && likely == nil
        return Verdict(isHeap ? .heapCorruption : .abort, isCertain ? .certain : .likely, evidence, reason)
    }

    private static func account(
        of caller: String, _ text: RuntimeText?, throughRuntime: Bool, _ facts: CrashFacts
    ) -> String {
        switch text?.source {
        case nil where throughRuntime: "abort was reached from \(caller) through its language's runtime"
        case .rust, .cxx, .cxxPureVirtual: "abort was reached from \(caller) through its language's runtime"
        case .swift, .python, .glibc, .assertion, nil: "\(caller) called \(road(facts.frames))"
        }
    }

    private static func fromGlibc(_ message: String) -> RuntimeText {
        RuntimeText.assertion(message) ?? RuntimeText(source: .glibc, message: message, line: message)
    }

    private static func plain(_ caller: String?, _ facts: CrashFacts, hint: RuntimeText?) -> String {
        let who = caller ?? "The program"
        return Wording.sentence(
            "\(who) called \(road(facts.frames))" + (Wording.pythonClause(facts.frames).map { ", \($0)" } ?? "")
                + (hint.map { "; the last message on stderr is: \($0.line)" } ?? ""))
    }

    private static func sentence(_ text: RuntimeText, _ caller: String?, _ facts: CrashFacts) -> String {
        let who = caller ?? "The program"
        let said = text.message.isEmpty ? "" : ": \(text.message)"
        let place = text.location.map { " (\(SourcePath.name($0)))" } ?? ""
        let words: String
        switch text.source {
        case .rust: words = "\(who) panicked\(place)\(said)"
        case .cxxPureVirtual:
            words = "\(who) called a pure virtual function: the object was being made or destroyed, or is freed"
        case .cxx:
            guard let type = text.type else {
                words = "\(who) called std::terminate, and no exception was on its way"
                break
            }
            return ThrownSentence.uncaught(type, who: who, said: said, facts)
        case .assertion: words = "An assertion failed in \(who)\(place)\(said)"
        case .glibc where isHeapCorruption(text.message):
            let function = firstOutsideAllocator(facts.frames)
            return MemoryFaultRule.sentence(
                "glibc found the heap corrupted (\(text.message))\(function.map { " when \($0) was called" } ?? "")",
                facts)
        case .glibc where text.message.contains("stack smashing detected"):
            words = "\(who) wrote past the end of a buffer on its stack (\(text.message))"
        case .glibc where text.message.contains("buffer overflow detected"):
            let checked = facts.frames.prefix(12).compactMap(\.symbol).first {
                $0.hasSuffix("_chk") && $0 != "__chk_fail"
            }
            let function = checked.map { " with \(withoutUnderscores($0).dropLast(4))" } ?? ""
            words = "\(who) overflowed a buffer\(function) (\(text.message))"
        case .glibc, .swift, .python: words = "\(who) called \(road(facts.frames))\(said)"
        }
        return Wording.sentence(words)
    }

    /// How the signal was raised.
    private static func road(_ frames: [Frame]) -> String {
        let names = frames.prefix(8).compactMap(\.symbol).map(withoutUnderscores)
        if names.contains("abort") { return "abort" }
        if names.contains("raise") || names.contains("gsignal") { return "raise(SIGABRT)" }
        return names.first { $0 == "kill" || $0 == "GI_kill" } != nil ? "kill with SIGABRT" : "abort"
    }

    /// Functions on the way from abort(3) to the signal, and those that only pass a message on.
    private static let machinery: Set<String> = [
        "pthread_kill_implementation", "pthread_kill_internal", "pthread_kill", "raise", "abort", "libc_message",
        "assert_fail_base", "assert_fail", "assert_perror_fail", "malloc_printerr", "fortify_fail", "chk_fail", "kill",
        "tgkill",
        "gsignal", "GI_kill", "GI_raise", "GI_abort", "libc_message_impl", "stack_chk_fail", "cxa_throw", "cxa_rethrow",
        "cxa_pure_virtual",
        "cxa_call_terminate",
        "cxa_call_unexpected", "gxx_personality_v0", "Unwind_RaiseException", "Unwind_Resume", "rust_panic",
        "rust_start_panic",
        "rust_eh_personality",
    ]
    private static let machineryStarts = [
        "std::terminate", "std::rt::", "std::panicking::", "std::process::abort", "std::sys::", "core::panicking::",
        "__rustc::", "panic_abort::", "panic_unwind::", "rust_panic", "__rust_start_panic",
        "core::option::expect_failed", "core::option::unwrap_failed", "core::result::unwrap_failed",
        "core::slice::index::",
        "core::option::Option<", "core::result::Result<", "<alloc::", "alloc::vec::", "core::slice::",
        "core::str::slice_error_fail", "core::cell::panic", "alloc::alloc::handle_alloc_error", "__cxxabiv1::",
        "__gnu_cxx::__verbose_terminate_handler",
    ]
    private static let machineryModules = ["libstdc++.so", "libc++abi.so", "libgcc_s.so"]

    private static func caller(_ frames: [Frame]) -> String? { site(frames)?.name }

    /// The innermost function that is no runtime's, and its place, ` (app.cpp:20)`, as far as that is known.
    static func site(_ frames: [Frame]) -> (name: String, place: String)? {
        var checked: String?
        for frame in frames.prefix(40) {
            if frame.kind == .python { return ("Python's \(Wording.python(frame))", "") }
            let module = frame.module.map { SourcePath.name($0) } ?? ""
            if machineryModules.contains(where: module.hasPrefix) { continue }
            guard let symbol = frame.symbol else { return nil }
            let name = Wording.bare(symbol)
            let isMachinery =
                machinery.contains(withoutUnderscores(name)) || symbol.hasSuffix("_chk")
                || machineryStarts.contains(where: name.hasPrefix) || name.hasPrefix("<core::")
                || name.hasPrefix("<std::") || isOfRustLibrary(frame)
            // <bits/string_fortified.h> inlines `strcpy` as a call of `__strcpy_chk`.
            if symbol.hasSuffix("_chk") { checked = withoutUnderscores(symbol) }
            if !isMachinery, frame.inlined != true || name + "_chk" != checked {
                let line = frame.line.map { ":\($0)" } ?? ""
                return (name, frame.file.map { " (\(SourcePath.name($0))\(line))" } ?? "")
            }
        }
        return nil
    }

    /// `<usize as SliceIndex<[T]>>::index` of `/rustc/…/library/core/src/slice/index.rs`: what the program's function called.
    private static func isOfRustLibrary(_ frame: Frame) -> Bool {
        guard let file = frame.file, frame.writtenIn == "Rust" else { return false }
        return ["library/core/src/", "library/alloc/src/", "library/std/src/"].contains(where: file.contains)
    }

    /// glibc's internal names differ from the public ones in leading underscores.
    private static func withoutUnderscores(_ name: String) -> String { String(name.drop { $0 == "_" }) }

    private static let heapTexts = [
        "double free", "free(): ", "malloc(): ", "realloc(): ", "calloc(): ", "corrupted size", "munmap_chunk(): ",
        "malloc_consolidate(): ", "corrupted double-linked list", "corrupted unsorted chunks", "mremap_chunk(): ",
        "tcache",
        "sysmalloc",
    ]

    /// What malloc.c gives to malloc_printerr, from its first letter: other programs write of invalid pointers, too.
    static func isHeapCorruption(_ message: String) -> Bool { heapTexts.contains(where: message.hasPrefix) }

    private static let allocator: Set<String> = [
        "int_free", "int_malloc", "int_realloc", "free", "malloc", "realloc", "calloc", "cfree", "munmap_chunk",
        "libc_free",
        "libc_malloc", "libc_realloc", "libc_calloc", "malloc_consolidate", "unlink_chunk", "tcache_thread_shutdown",
        "systrim",
        "sysmalloc", "int_memalign",
    ]

    private static func firstOutsideAllocator(_ frames: [Frame]) -> String? {
        for frame in frames.prefix(24) where frame.kind == .native {
            guard let symbol = frame.symbol.map(Wording.bare) else { return nil }
            let name = withoutUnderscores(symbol)
            if !machinery.contains(name), !allocator.contains(name) { return symbol }
        }
        return nil
    }

    /// The last text that a runtime wrote before it ended the program.
    static func messageInLog(_ lines: [String]) -> String? {
        RuntimeText.last(in: lines).map { Wording.trimmed($0.line) }
    }
}
