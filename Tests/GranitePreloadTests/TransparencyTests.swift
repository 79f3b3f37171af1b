// What a program can see of the library: as little as possible.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)), .enabled(if: PreloadedRun.compiler != nil))
struct TransparencyTests {
    private static let headers = """
        #include <dirent.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <signal.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/resource.h>
        #include <sys/wait.h>
        #include <unistd.h>

        """

    @Test func itsDescriptorsAreOutOfTheWayAndClosedByExecve() async throws {
        let run = try await PreloadedRun.run(
            c: Self.headers + """
                int main(int count, char **arguments) {
                    if (open("/dev/null", O_RDONLY) != 3) return 98;
                    for (int i = 4; i < 512; i++) if (fcntl(i, F_GETFD) >= 0) return 97;
                    int found = 0;
                    for (int i = 512; i < 4096; i++) {
                        int flags = fcntl(i, F_GETFD);
                        if (flags >= 0 && !(flags & FD_CLOEXEC)) return 96;
                        found += flags >= 0;
                    }
                    return found;
                }
                """)
        guard case .code(let found) = run.ending else {
            Issue.record("\(run.ending)")
            return
        }
        // The page, the socket, a spare one; the two of libunwind where that is installed.
        #expect(3...5 ~= found)
    }

    /// A second round is executed by the first with the limit set.
    private func runWithLimit(_ limit: String, _ value: Int, body: String) async throws -> PreloadedRun {
        try await PreloadedRun.run(
            c: Self.headers + """
                int main(int count, char **arguments) {
                    if (count == 1) {
                        struct rlimit limit = {\(value), \(value)};
                        if (setrlimit(\(limit), &limit) != 0) return 77;
                        execl("/proc/self/exe", "limited", "again", (char *)0);
                        return 99;
                    }
                    \(body)
                }
                """)
    }

    @Test(arguments: [4, 6, 9, 16, 40, 256])
    func aSmallLimitOfDescriptorsIsRespected(limit: Int) async throws {
        let run = try await runWithLimit(
            "RLIMIT_NOFILE", limit,
            body: """
                if (open("/dev/null", O_RDONLY) != 3) return 98;
                close(3);
                int status = 0;
                if (fork() == 0) _exit(open("/dev/null", O_RDONLY) == 3 ? 11 : 12);
                wait(&status);
                return WEXITSTATUS(status);
                """)
        #expect(run.ending == .code(11))
        // Too small a limit has the program to itself.
        #expect(run.members.contains { $0.program == "exe" || $0.program == "limited" } == (limit >= 16))
    }

    @Test func aLimitOfFileSizesKillsNobody() async throws {
        let run = try await runWithLimit("RLIMIT_FSIZE", 1 << 20, body: "return 12;")
        #expect(run.ending == .code(12))
        #expect(run.members.count == 1)
    }

    @Test func aLimitOfAddressSpaceIsTheProgramsOwn() async throws {
        let run = try await runWithLimit("RLIMIT_AS", 32 << 20, body: "return malloc(16 << 20) ? 12 : 13;")
        #expect(run.ending == .code(12))
    }

    @Test func errnoIsLeftAlone() async throws {
        let run = try await PreloadedRun.run(
            c: Self.headers + """
                int main(void) {
                    if (errno != 0) return 98;
                    errno = 77;
                    int status = 0;
                    if (fork() == 0) _exit(errno);
                    if (errno != 77) return 97;
                    wait(&status);
                    return WEXITSTATUS(status);
                }
                """)
        #expect(run.ending == .code(77))
    }

    @Test func aProgramCountsItsOwnChildrenOnly() async throws {
        let run = try await PreloadedRun.run(
            c: Self.headers + """
                static volatile int signals;
                static void count(int signal) { signals++; }
                int main(void) {
                    signal(SIGCHLD, count);
                    int ended = 0;
                    for (int i = 0; i < 4; i++) {
                        if (fork() == 0) { if (i % 2) execl("/bin/true", "true", (char *)0); _exit(0); }
                        while (waitpid(-1, 0, 0) < 0 && errno == EINTR) {}
                        ended++;
                    }
                    return waitpid(-1, 0, WNOHANG) == -1 && errno == ECHILD && signals == 4 && ended == 4 ? 14 : signals;
                }
                """)
        #expect(run.ending == .code(14))
    }

    @Test func itsSignalActionsAreThoseItSets() async throws {
        let run = try await PreloadedRun.run(
            c: Self.headers + """
                static void handle(int signal) {}
                int main(void) {
                    struct sigaction action;
                    for (int i = 1; i < NSIG; i++) {
                        if (sigaction(i, 0, &action) == 0 && action.sa_handler != SIG_DFL) return i;
                    }
                    signal(SIGABRT, handle);
                    if (fork() == 0) _exit(sigaction(SIGABRT, 0, &action) == 0 && action.sa_handler == handle ? 70 : 71);
                    int status = 0;
                    wait(&status);
                    return WEXITSTATUS(status);
                }
                """)
        #expect(run.ending == .code(70))
    }

    @Test func aShellsPipelinesRedirectionsAndJobsWork() async throws {
        let script = """
            exec 3</etc/hostname; exec 4>&1; read -r name <&3; [ -n "$name" ] || exit 90
            words=$(printf 'a b c' | tr ' ' '\\n' | wc -l)
            (exit 3); [ $? = 3 ] || exit 91
            /bin/false & wait $!; [ $? = 1 ] || exit 92
            sh -c 'kill -TERM $$'; [ $? = 143 ] || exit 93
            trap 'echo trapped' USR1; kill -USR1 $$
            echo "$words" >&4; exit 6
            """
        let shell = URL(fileURLWithPath: "/bin/bash")
        let plain = try await PreloadedRun.run(shell, ["-c", script], environment: ["LD_PRELOAD": nil])
        let run = try await PreloadedRun.run(shell, ["-c", script])
        #expect(run.ending == .code(6))
        #expect(run.output == "trapped\n2\n")
        #expect(run.errors == plain.errors)
        #expect(plain.members.isEmpty)
        #expect(try run.first?.page.status().exitCode == 6)
    }
}
