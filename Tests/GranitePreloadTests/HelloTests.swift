// Who says hello, when, and who stays silent.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)), .enabled(if: PreloadedRun.compiler != nil))
struct HelloTests {
    private static let noop = "int main(void) { return 0; }"

    @Test func aProgramSaysHelloOnce() async throws {
        let run = try await PreloadedRun.run(c: Self.noop)
        #expect(run.ending == .code(0))
        #expect(run.output + run.errors == "")
        #expect(run.members.count == 1)
        let member = try #require(run.first)
        let status = try member.page.status()
        #expect(!member.isForked)
        #expect(member.program == "program")
        #expect(member.pid == status.pid)
        #expect(member.parent == getpid())
        #expect(status.level == 2)
        #expect(status.startedNanoseconds > 0)
    }

    @Test func theLevelIsTheEnvironments() async throws {
        for (spelling, level) in [("off", UInt32(0)), ("short", 1), ("1", 1), ("full", 2), ("nonsense", 2)] {
            let run = try await PreloadedRun.run(
                c: "int main(void) { if (fork() == 0) return 2; wait(0); return 1; }\n",
                environment: ["GRANITE_BACKTRACE": spelling])
            #expect(try run.members.map { try $0.page.status().level } == [level, level])
            #expect(try run.members.map { try $0.page.status().exitCode } == [1, 2])
        }
    }

    @Test func aForkedChildHasAPageOfItsOwn() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <sys/wait.h>
                #include <unistd.h>
                int main(void) {
                    if (fork() == 0) { if (fork() == 0) _exit(3); wait(0); _exit(2); }
                    wait(0);
                    return 1;
                }
                """)
        #expect(run.ending == .code(1))
        #expect(run.members.map(\.isForked) == [false, true, true])
        #expect(try run.members.map { try $0.page.status().exitCode } == [1, 2, 3])
        #expect(try run.members.map { try $0.page.status().pid } == run.members.map(\.pid))
        #expect(run.members.map(\.parent).dropFirst() == run.members.map(\.pid).dropLast())
        #expect(Set(run.members.map(\.pid)).count == 3)
    }

    @Test func anExecutedProgramSaysHelloUnderItsOwnName() async throws {
        let run = try await PreloadedRun.run(
            URL(fileURLWithPath: "/bin/sh"), ["-c", "echo hi | cat; exec cat /dev/null"])
        #expect(run.ending == .code(0))
        #expect(run.output == "hi\n")
        #expect(run.members.filter { !$0.isForked }.map(\.program).sorted() == ["cat", "cat", "sh"])
        #expect(run.members.last?.pid == run.first?.pid)
    }

    @Test func aThreadsChildSaysHello() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <pthread.h>
                #include <sys/wait.h>
                #include <unistd.h>
                static void *body(void *unused) { if (fork() == 0) _exit(3); wait(0); return 0; }
                int main(void) {
                    pthread_t thread;
                    pthread_create(&thread, 0, body, 0);
                    pthread_join(thread, 0);
                    return 0;
                }
                """)
        #expect(try run.forked.map { try $0.page.status().exitCode } == [3])
    }

    /// How a program that counts its descriptors sees that nobody has touched it.
    private static let counter = """
        #include <stdio.h>
        #include <fcntl.h>
        int main(void) {
            int others = 0;
            for (int i = 3; i < 4096; i++) others += fcntl(i, F_GETFD) >= 0;
            printf("%d", others);
            return 0;
        }
        """

    @Test(arguments: [
        nil, "", "@", "@granite-nobody-listens-here", "/nowhere/granite", String(repeating: "x", count: 200),
    ])
    func withoutAGuardianNothingHappens(socket: String?) async throws {
        let run = try await PreloadedRun.run(c: Self.counter, environment: ["GRANITE_RUN_SOCKET": socket])
        #expect(run.ending == .code(0))
        #expect(run.output == "0")
        #expect(run.members.isEmpty)
    }

    @Test func aProgramThatCapturesItselfIsLeftAlone() async throws {
        let run = try await PreloadedRun.run(BuildProducts.executable("CrashProbe"), ["--help"])
        #expect(run.members.isEmpty)
    }

    /// Each waits a moment for the guardian, and goes on without.
    @Test func aGuardianThatHangsHoldsNobodyUp() async throws {
        let guardian = try RunGuardian(queue: 0)
        let shell = PreloadedRun.program(
            URL(fileURLWithPath: "/bin/sh"), ["-c", "/bin/true; /bin/true; exit 4"], guardian: guardian)
        #expect(try await shell.run().ending == .code(4))
        #expect(try await shell.run().ending == .code(4))
        #expect(try guardian.members().map(\.program) == ["sh"])
    }

    @Test func aForkAfterTheGuardiansEndGoesOnWithoutIt() async throws {
        let folder = try TemporaryDirectory()
        let gate = folder.file("gate").path
        try #require(mkfifo(gate, 0o600) == 0)
        let opener = open(gate, O_RDWR | O_CLOEXEC)
        defer { close(opener) }
        let executable = try await PreloadedRun.compile(
            """
            #include <fcntl.h>
            #include <sys/wait.h>
            #include <unistd.h>
            int main(int count, char **arguments) {
                char byte;
                read(open(arguments[1], O_RDONLY), &byte, 1);
                int status = 0;
                if (fork() == 0) { fcntl(512, F_GETFD) < 0 ? _exit(5) : _exit(6); }
                wait(&status);
                return WEXITSTATUS(status);
            }
            """, in: folder)
        var guardian: RunGuardian? = try RunGuardian()
        let program = PreloadedRun.program(executable, [gate], guardian: try #require(guardian))
        async let run = program.run()
        #expect(try await Command.eventually { try guardian?.members().count == 1 })
        guardian = nil
        #expect(write(opener, "x", 1) == 1)
        #expect(try await run.ending == .code(5))
    }

    /// A sandbox that kills for any system call that its program has no use for.
    @Test func aChildInASandboxIsLeftAlone() async throws {
        let run = try await PreloadedRun.run(
            c: """
                #include <linux/filter.h>
                #include <linux/seccomp.h>
                #include <stddef.h>
                #include <sys/prctl.h>
                #include <sys/syscall.h>
                #include <sys/wait.h>
                #include <unistd.h>
                int main(void) {
                    struct sock_filter code[] = {
                        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 1, 0),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                    };
                    struct sock_fprog filter = {sizeof code / sizeof code[0], code};
                    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, 2, &filter) != 0) return 77;
                    int status = 0;
                    if (fork() == 0) _exit(5);
                    wait(&status);
                    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
                }
                """)
        #expect(run.ending == .code(5))
        #expect(run.members.count == 1)
    }
}
