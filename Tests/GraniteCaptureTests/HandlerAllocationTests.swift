// Nothing of a capture allocates or frees: not ours, not libunwind's, not the C library's. A library that is loaded ahead
// sees every call.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

private let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first {
    FileManager.default.isExecutableFile(atPath: $0)
}

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: compiler != nil))
struct HandlerAllocationTests {
    /// A thread captures, or is parked, exactly while it blocks all signals but those of faults: from before the gate
    /// is claimed until it is dead, or was let go.
    private static let source = """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <signal.h>
        #include <stddef.h>
        #include <stdint.h>
        #include <sys/syscall.h>
        #include <unistd.h>
        void *__libc_malloc(size_t);
        void *__libc_calloc(size_t, size_t);
        void *__libc_realloc(void *, size_t);
        void *__libc_memalign(size_t, size_t);
        void __libc_free(void *);
        static int blocks(uint64_t mask, int signal) { return mask >> (signal - 1) & 1; }
        static void check(void) {
            uint64_t mask = 0;
            syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
            if (blocks(mask, SIGTERM) && blocks(mask, SIGCHLD) && blocks(mask, SIGPROF) && blocks(mask, SIGALRM) &&
                blocks(mask, SIGRTMAX) && !blocks(mask, SIGSEGV))
                _exit(99);
        }
        void *malloc(size_t n) { check(); return __libc_malloc(n); }
        void *calloc(size_t n, size_t m) { check(); return __libc_calloc(n, m); }
        void *realloc(void *p, size_t n) { check(); return __libc_realloc(p, n); }
        void *memalign(size_t a, size_t n) { check(); return __libc_memalign(a, n); }
        void *aligned_alloc(size_t a, size_t n) { check(); return __libc_memalign(a, n); }
        int posix_memalign(void **p, size_t a, size_t n) {
            check();
            return (*p = __libc_memalign(a, n)) ? 0 : ENOMEM;
        }
        void free(void *p) { if (p) check(); __libc_free(p); }
        """

    private func run(_ name: String) async throws -> ProbeRun {
        let folder = try TemporaryDirectory()
        try folder.write(Self.source, to: "detector.c")
        let library = folder.file("detector.so").path
        let (ending, _, errors) = try await Command.run(
            URL(fileURLWithPath: try #require(compiler)),
            ["-O1", "-fno-builtin", "-shared", "-fPIC", "-o", library, folder.file("detector.c").path])
        try #require(ending == .code(0), "\(errors)")
        return try await ProbeRun.run(name, level: "full", environment: ["LD_PRELOAD": library])
    }

    @Test func theDetectorNoticesAnAllocation() async throws {
        #expect(try await run("allocation-as-in-capture").ending == .code(99))
    }

    @Test(arguments: [
        "null-read", "null-call", "wild", "abort", "double-free", "fpe", "bus", "trap", "swift-bounds", "second-fault",
        "threads-100", "dispatch-threads", "stack-overflow-main", "stack-overflow-pthread", "malloc-locked",
        "malloc-contended", "malloc-abort", "crash-in-dl_iterate_phdr", "no-descriptors", "closed-descriptors",
        "handler-crash-altstack", "own-handler-faulthandler", "own-handler-sentry", "own-handler-returns",
    ])
    func aDyingProcessAllocatesNothing(_ name: String) async throws {
        let run = try await run(name)
        #expect(run.ending != .code(99), "an allocation in the handler")
        if case .code(let code) = run.ending { Issue.record("ended with \(code)") }
        #expect(try run.page.capture().stage >= .walked)
    }

    @Test(arguments: ["thread-bound-drop", "drop-storm", "drop-after-profiler", "fault-during-drop"])
    func aCaptureThatTheProgramSurvivesAllocatesNothing(_ name: String) async throws {
        let run = try await run(name)
        #expect(run.ending != .code(99), "an allocation in the capture")
        #expect(try run.page.capture().stage == .finished)
    }
}
