// What the core calls and what it changes for others: a property of the built files.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct LinkageTests {
    /// Object files that a handler can reach.
    private static let handlerFiles = [
        "core", "handler", "chain", "actions", "capture_stack", "descriptors", "park", "walk", "watchdog", "mappings",
        "snapshot", "memory_server", "modules", "frame_pointers", "thread_home", "breadcrumbs",
        "capture_now", "occasions", "dump",
    ]
    /// Object files that are only called before a crash, or by a healthy thread.
    private static let installFiles = [
        "install", "page", "actions_interpose", "alternate_stack", "chain_load", "signal_mask", "walk_load",
        "modules_load", "fork", "wrong_thread", "bind",
    ]

    /// What handler files may call. In the list of signal-safety(7): clock_gettime, close, fstat, getpid, getuid, lseek, mem*,
    /// open, poll, pwrite, read, recv, sendmsg, sigaction, sig*set, siglongjmp, _exit. Beside it:
    private static let allowed: Set<String> = [
        "__errno_location",  // errno is thread-local; its address is computed
        "syscall",  // one kernel entry, no state but errno
        "__sigsetjmp",  // stores registers; reads the mask by rt_sigprocmask(2)
        "getcontext",  // as __sigsetjmp
        "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail",
        "_exit", "clock_gettime", "close", "fstat", "getpid", "getuid", "lseek", "memchr", "memcmp", "memcpy",
        "memmove",
        "memset", "open",
        "poll", "pwrite", "read", "recv", "sendmsg", "sigdelset", "sigemptyset", "sigfillset", "sigaddset",
        "sigismember",
        "siglongjmp",
        "bcmp",  // what an optimizing compiler makes of memcmp() == 0
        "granite_modules_next",  // of an install file: dl_iterate_phdr calls it only while nothing is frozen
    ]

    private func symbols(_ option: String, of file: String) throws -> Set<String> {
        let object = BuildProducts.directory.appendingPathComponent("CGraniteCapture.build/\(file).c.o").path
        return Set(
            try SymbolTable.lines([option, "-P"], of: object).compactMap {
                $0.split(separator: " ").first.map(String.init)
            })
    }

    @Test func everyFileOfTheCoreIsOfOneKind() throws {
        let folder = BuildProducts.checkout.appendingPathComponent("Sources/CGraniteCapture").path
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".c") }
        #expect(Set(files) == Set((Self.handlerFiles + Self.installFiles).map { "\($0).c" }))
    }

    @Test func handlerFilesCallOnlyAllowedFunctions() throws {
        var defined: Set<String> = []
        var called: [String: Set<String>] = [:]
        for file in Self.handlerFiles {
            defined.formUnion(try symbols("--defined-only", of: file))
            called[file] = try symbols("--undefined-only", of: file)
        }
        #expect(!defined.isEmpty)
        for (file, names) in called {
            let others = names.subtracting(defined).subtracting(Self.allowed)
            #expect(others.isEmpty, "\(file).c calls \(others.sorted())")
        }
    }

    @Test func theListWouldNoticeAnAllocation() throws {
        let names = try symbols("--undefined-only", of: "walk_load")
        #expect(names.contains("dlopen"))
        #expect(Self.allowed.isDisjoint(with: ["dlopen", "dlsym", "malloc", "free", "pthread_mutex_lock", "printf"]))
    }

    @Test func theProbeExportsTheInterposedFunctions() throws {
        let lines = try SymbolTable.lines(["-D", "--defined-only"], of: BuildProducts.executable("CrashProbe").path)
        for name in [
            "pthread_create", "pthread_sigmask", "sigprocmask", "sigaltstack", "sigaction", "signal", "dl_iterate_phdr",
        ] {
            #expect(lines.contains { $0.hasSuffix(" T \(name)") })
        }
    }

    private static let compiler = ["/usr/bin/c++", "/usr/bin/g++"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    private func compileExtension(_ source: String, in folder: TemporaryDirectory, language: String = "c++")
        async throws -> String
    {
        try folder.write(source, to: "extension.cc")
        let library = folder.file("extension.so").path
        let (ending, _, errors) = try await Command.run(
            URL(fileURLWithPath: try #require(Self.compiler)),
            ["-x", language, "-shared", "-fPIC", "-o", library, folder.file("extension.cc").path])
        try #require(ending == .code(0), "\(errors)")
        return library
    }

    /// libunwind exports _Unwind_* too. It must not take over the exceptions of extensions.
    @Test(.enabled(if: compiler != nil))
    func aLoadedExtensionThrowsByLibgcc() async throws {
        let folder = try TemporaryDirectory()
        let library = try await compileExtension(
            """
            extern "C" int _Unwind_RaiseException(void *);
            extern "C" void *raise_address() { return (void *)&_Unwind_RaiseException; }
            extern "C" int probe() { try { throw 42; } catch (int value) { return value; } }
            """, in: folder)
        let binding = try await ProbeRun.run("raise-binding", argument: library)
        #expect(binding.ending == .code(0))
        let caught = try await ProbeRun.run("cpp-throw", argument: library)
        #expect(caught.ending == .code(42))
    }

    @Test(.enabled(if: compiler != nil))
    func anUncaughtExceptionAbortsWithItsThrowSiteOnTheStack() async throws {
        let folder = try TemporaryDirectory()
        let library = try await compileExtension("extern \"C\" int probe() { throw 42; }", in: folder)
        let run = try await ProbeRun.run("cpp-throw", argument: library)
        #expect(run.ending == .signal(SIGABRT))
        let names = try ProbeSymbols().names(of: run.page.capture().handlerFrames, in: run.page)
        #expect(names.first == "granite_probe_throw_in")
    }
}
