// The code that a program ends with is in its page, whichever way it ends.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)), .enabled(if: PreloadedRun.compiler != nil))
struct ExitNoteTests {
    /// A program whose main is `body`.
    private func run(_ body: String) async throws -> PreloadedRun {
        try await PreloadedRun.run(
            c: """
                #include <pthread.h>
                #include <signal.h>
                #include <stdlib.h>
                #include <sys/wait.h>
                #include <unistd.h>
                static void end(void) { _exit(21); }
                static void *in_thread(void *unused) { exit(22); }
                int main(void) { pthread_t thread; \(body) }
                """)
    }

    @Test(arguments: [
        ("return 7;", 7), ("exit(8);", 8), ("_exit(9);", 9), ("_Exit(10);", 10), ("quick_exit(11);", 11),
        ("exit(300);", 44), ("return -1;", 255), ("pthread_exit(0);", 0), ("atexit(end); return 3;", 21),
        ("pthread_create(&thread, 0, in_thread, 0); pthread_join(thread, 0);", 22),
    ])
    func theCodeIsNoted(body: String, code: Int32) async throws {
        let run = try await run(body)
        #expect(run.ending == .code(code))
        #expect(try run.first?.page.status().exitCode == code)
    }

    @Test func aSignalLeavesNoNote() async throws {
        let run = try await run("raise(SIGKILL);")
        #expect(run.ending == .signal(SIGKILL))
        #expect(try #require(run.first).page.status().exitCode == nil)
    }

    /// It has the memory of its parent, and with it the page.
    @Test func theEndOfAChildOfVforkIsNotItsParents() async throws {
        let run = try await run("if (vfork() == 0) _exit(5); raise(SIGKILL);")
        #expect(run.ending == .signal(SIGKILL))
        #expect(try #require(run.first).page.status().exitCode == nil)
    }
}
