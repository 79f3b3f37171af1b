// Defines what part a frame plays in a stack: why the program died, how it died, or the machinery around both.
// Fingerprint, summary and text all choose their frames by it.

/// The part of one frame.
package enum FrameRole: Sendable {
    /// The application's, a library's or the server's own function: what a reader looks for.
    case code
    /// How a program ends once it has decided to: `raise`, `__libc_message`, a panic's machinery.
    case dying
    /// The CPython interpreter's own C functions.
    case interpreter
    /// What starts threads and runs tasks, and the compiler's thunks.
    case runtime
    /// No function: a compiler's remark in the form of an inlined frame, `Swift runtime failure: …`.
    case remark
}

extension Frame {
    /// True for what a signal handler returns to; the frame behind it was interrupted, it did not call.
    package var isSignalTrampoline: Bool { symbol.map(Self.signalTrampolines.contains) ?? false }

    private static let signalTrampolines: Set<String> = ["__restore_rt", "__restore", "__kernel_rt_sigreturn"]

    package var role: FrameRole {
        guard kind != .python else { return .code }
        let symbol = symbol ?? ""
        let file = module.map { $0.split(separator: "/").last ?? "" } ?? ""
        if symbol.hasPrefix("Swift runtime failure: ") { return .remark }
        if Self.dyingNames.contains(symbol) || Self.dyingPrefixes.contains(where: symbol.hasPrefix) { return .dying }
        if Self.starters.contains(symbol) || Self.runtimePrefixes.contains(where: symbol.hasPrefix)
            || Self.runtimeModules.contains(where: file.hasPrefix)
        {
            return .runtime
        }
        // The one thing of the interpreter that explains a drop: it ran wherever the program happened to be.
        if symbol.hasPrefix("gc_collect_main") { return .code }
        // Generics of the standard library and made-up code, compiled into whoever uses them: `withMemoryRebound`, `$main`.
        if hasNoLine { return .runtime }
        if file.hasPrefix("libpython3") || Self.isPython(file)
            || Self.interpreterPrefixes.contains(where: symbol.hasPrefix)
        {
            return .interpreter
        }
        return .code
    }

    /// An inlined Swift function that has no line of its own: nobody wrote it where it stands.
    package var hasNoLine: Bool { inlined == true && line == nil && writtenIn == "Swift" }

    /// The language as the report has it, else by kind and by how the name is mangled.
    package var writtenIn: String {
        if let language { return language }
        if kind == .python { return "Python" }
        if kind == .swiftAsync { return "Swift" }
        let raw = rawSymbol ?? ""
        if raw.hasPrefix("$s") || raw.hasPrefix("$S") { return "Swift" }
        if raw.hasPrefix("_R") || (raw.hasPrefix("_ZN") && raw.hasSuffix("E") && raw.contains("17h")) { return "Rust" }
        return raw.hasPrefix("_Z") ? "C++" : "C"
    }

    /// `python`, `python3`, `python3.11`: interpreters that hold what is elsewhere in libpython.
    private static func isPython(_ file: Substring) -> Bool {
        file.hasPrefix("python") && file.dropFirst(6).allSatisfy { $0.isNumber || $0 == "." }
    }

    private static let dyingNames: Set<String> = [
        "raise", "gsignal", "__GI_raise", "pthread_kill", "__pthread_kill", "__pthread_kill_implementation",
        "__pthread_kill_internal",
        "pthread_kill@@GLIBC_2.34", "tgkill", "kill", "__kill", "__restore_rt", "__libc_message", "__libc_message_impl",
        "malloc_printerr",
        "__fortify_fail", "__chk_fail", "__stack_chk_fail", "__assert_fail", "__assert_fail_base", "__GI_abort",
        "rust_begin_unwind",
        "std::terminate()", "std::terminate", "__cxa_throw", "__cxa_rethrow",
    ]

    private static let dyingPrefixes = [
        "core::panicking::", "std::panicking::", "std::sys::backtrace::__rust_end_short_backtrace",
        "__rustc::rust_begin_unwind", "__rustc::rust_panic", "__rustc::__rust_start_panic", "__rustc::__rust_abort",
        "rust_panic", "__rust_start_panic", "panic_abort::", "panic_unwind::", "__rust_abort", "std::process::abort",
        "std::sys::pal::unix::abort_internal",
        "core::option::unwrap_failed", "core::option::expect_failed", "core::result::unwrap_failed",
        "__cxxabiv1::__terminate", "__gnu_cxx::__verbose_terminate_handler", "swift::fatalError",
        "_swift_stdlib_reportFatalError",
        "_assertionFailure(", "_fatalErrorMessage(", "Swift._assertionFailure(", "Swift._fatalErrorMessage(",
    ]

    private static let starters: Set<String> = [
        "start_thread", "clone", "clone3", "__clone", "__clone3", "__GI___clone3", "_start", "__libc_start_main",
        "__libc_start_main_impl",
        "__libc_start_main@@GLIBC_2.34", "__libc_start_call_main", "thread_run", "pythread_wrapper",
        "__start_context", "granite_run_thread",
        "<deduplicated_symbol>",
    ]

    private static let runtimePrefixes = [
        "swift::", "swift_", "_dispatch_", "thunk for ", "reabstraction thunk", "partial apply",
        "protocol witness for ", "granite_thread_", "granite_watched_",
        "std::rt::lang_start", "std::sys::backtrace::__rust_begin_short_backtrace",
        "core::ops::function::FnOnce::call_once", "std::panic::catch_unwind", "__rust_try",
    ]

    private static let runtimeModules = [
        "libdispatch.so", "libswiftDispatch.so", "libswift_Concurrency.so", "libBlocksRuntime.so",
    ]

    private static let interpreterPrefixes = [
        "_PyEval_", "PyEval_", "_PyFunction_Vectorcall", "_PyObject_", "PyObject_", "_PyVectorcall_",
    ]
}
