// What a crash of a foreign program leaves in its page. No collector answers: the page alone must hold it.

import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)), .enabled(if: PreloadedRun.compiler != nil))
struct CaptureTests {
    @Test func aCrashIsInThePageAndTheSignalIsTheSame() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <pthread.h>
                #include <unistd.h>
                static void *body(void *unused) { pause(); return 0; }
                int main(void) {
                    pthread_t thread;
                    pthread_create(&thread, 0, body, 0);
                    *(volatile int *)16 = 1;
                    return 0;
                }
                """)
        #expect(run.ending == .signal(SIGSEGV))
        let page = try #require(run.first).page
        let capture = try page.capture()
        #expect(capture.kind == .signal)
        #expect(capture.signalNumber == SIGSEGV)
        #expect(capture.signalAddress == Address(16))
        #expect(capture.stage >= .copied)
        #expect(capture.threadCount == 2)
        #expect(try page.status().exitCode == nil)
        #expect(try !page.maps().isEmpty)
    }

    @Test func aForkedChildsCrashIsItsOwn() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <stdlib.h>
                #include <sys/wait.h>
                #include <unistd.h>
                int main(void) {
                    int status = 0;
                    if (fork() == 0) abort();
                    wait(&status);
                    return WIFSIGNALED(status) ? WTERMSIG(status) : 99;
                }
                """)
        #expect(run.ending == .code(SIGABRT))
        let child = try #require(run.forked.first)
        #expect(try child.page.capture().signalNumber == SIGABRT)
        #expect(try child.page.capture().stage >= .copied)
        #expect(try run.first?.page.capture().stage == .idle)
    }

    /// Its alternate signal stack is that of the thread which forked.
    @Test func aStackOverflowInAThreadsChildIsCaptured() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <pthread.h>
                #include <sys/wait.h>
                #include <unistd.h>
                static int deeper(volatile int *above) { volatile int here[64] = {*above}; return deeper(here) + here[3]; }
                static void *body(void *unused) {
                    int start = 0;
                    if (fork() == 0) _exit(deeper(&start));
                    wait(0);
                    return 0;
                }
                int main(void) {
                    pthread_t thread;
                    pthread_create(&thread, 0, body, 0);
                    pthread_join(thread, 0);
                    return 0;
                }
                """)
        #expect(run.ending == .code(0))
        #expect(try run.forked.first?.page.capture().signalNumber == SIGSEGV)
        #expect(try (run.forked.first?.page.capture().stage ?? .idle) >= .copied)
    }

    /// As daemons do. The numbers of the page and of the socket are then files of the program's.
    @Test func aProgramThatClosesAllDescriptorsIsCapturedAndItsFilesAreUntouched() async throws {
        let folder = try TemporaryDirectory()
        let run = try await PreloadedRun.run(
            c: """
                #include <fcntl.h>
                #include <unistd.h>
                int main(int count, char **arguments) {
                    closefrom(3);
                    int file = open(arguments[1], O_RDWR | O_CREAT, 0600);
                    for (int i = 500; i < 560; i++) dup2(file, i);
                    *(volatile int *)16 = 1;
                    return 0;
                }
                """, [folder.file("own").path])
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try Data(contentsOf: folder.file("own")).isEmpty)
        #expect(try run.first?.page.capture().signalNumber == SIGSEGV)
        #expect(try (run.first?.page.capture().stage ?? .idle) >= .copied)
    }

    @Test func aForkAfterClosingAllDescriptorsIsCapturedAndClosesNoFileOfTheProgram() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <fcntl.h>
                #include <stdlib.h>
                #include <sys/wait.h>
                #include <unistd.h>
                int main(void) {
                    closefrom(3);
                    int file = open("/dev/null", O_RDWR);
                    for (int i = 500; i < 560; i++) dup2(file, i);
                    int status = 0;
                    if (fork() == 0) {
                        for (int i = 500; i < 560; i++) if (fcntl(i, F_GETFD) < 0) _exit(i - 400);
                        abort();
                    }
                    wait(&status);
                    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
                }
                """)
        #expect(run.ending == .code(SIGABRT))
        #expect(try run.forked.first?.page.capture().signalNumber == SIGABRT)
    }

    @Test func theProgramsHandlerIsAskedInAForkedChildToo() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <signal.h>
                #include <sys/wait.h>
                #include <unistd.h>
                static void handle(int signal) { _exit(signal + 30); }
                int main(void) {
                    signal(SIGSEGV, handle);
                    int status = 0;
                    if (fork() == 0) *(volatile int *)16 = 1;
                    wait(&status);
                    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
                }
                """)
        #expect(run.ending == .code(SIGSEGV + 30))
        #expect(try run.forked.first?.page.status().exitCode == SIGSEGV + 30)
    }
}
