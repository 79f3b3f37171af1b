// `granite-crash run` between a program and whoever started it: neither notices it.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RunCommandTests {
    @Test(arguments: [0, 1, 77, 126, 127, 255] as [Int32])
    func exitCodesStay(code: Int32) async throws {
        let result = try await CrashRun.run(["sh", "-c", "exit \(code)"])
        #expect(result.ending == .code(code))
        #expect(result.errors.isEmpty)
        #expect(result.reports.isEmpty)
    }

    @Test(arguments: [SIGTERM, SIGKILL, SIGINT, SIGHUP, SIGPIPE])
    func runDiesAsItsProgramDied(signal: Int32) async throws {
        let result = try await CrashRun.run(["sh", "-c", "kill -\(signal) $$"])
        #expect(result.ending == .signal(signal))
        #expect(result.reports.isEmpty)
    }

    @Test func aShellSaysTheSame() async throws {
        let line = "\(CrashRun.executable.path) run -- sh -c 'kill -TERM $$'; echo $?"
        let folder = try TemporaryDirectory()
        let shell = try CrashRun.start(
            ["bash", "-c", line], environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path])
        #expect(await shell.wait() == .code(0))
        #expect(shell.standardOutput == "143\n")
    }

    @Test func whatCannotBeRunIsSaidAsAShellSaysIt() async throws {
        let missing = try await CrashRun.run(["no-such-program"])
        #expect(missing.ending == .code(127))
        #expect(missing.errors == "granite-crash: no-such-program is not in PATH.\n")
        let directory = try await CrashRun.run(["/tmp"])
        #expect(directory.ending == .code(126))
        #expect(directory.errors == "granite-crash: /tmp cannot be run: Is a directory.\n")
    }

    @Test func aStaticProgramIsRefusedBeforeItRuns() async throws {
        let folder = try TemporaryDirectory()
        let program = folder.file("static")
        try folder.write("#include <unistd.h>\nint main(void) { return write(1, \"ran\", 3) != 3; }", to: "main.c")
        let compiler = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/gcc"), ["-static", "-o", program.path, folder.file("main.c").path])
        try #require(compiler.ending == .code(0))
        let result = try await CrashRun.run([program.path])
        #expect(result.ending == .code(126))
        #expect(result.output.isEmpty)
        #expect(
            result.errors
                == "granite-crash: \(program.path) is statically linked: no library can be preloaded into it. Link it dynamically to capture its crashes.\n"
        )
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a file to another user"))
    func aProgramThatChangesItsUserIsRefused() async throws {
        let folder = try TemporaryDirectory()
        let program = folder.file("id")
        try FileManager.default.copyItem(atPath: "/usr/bin/id", toPath: program.path)
        chown(program.path, 65534, 65534)
        chmod(program.path, 0o4755)
        let result = try await CrashRun.run([program.path])
        #expect(result.ending == .code(126))
        #expect(result.errors.contains("is set-user-id"))
    }

    @Test func withoutTheLibraryItSaysHowToGetIt() async throws {
        let folder = try TemporaryDirectory()
        let alone = folder.file("granite-crash")
        try FileManager.default.copyItem(at: CrashRun.executable, to: alone)
        let result = try await Command.run(
            alone, ["run", "true"], environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path])
        #expect(result.ending == .code(126))
        #expect(result.errors.contains("libgranite-preload.so is missing"))
        #expect(result.errors.contains("swift build"))
    }

    @Test func argumentsAndEnvironmentAreThePrograms() async throws {
        let result = try await CrashRun.run(
            ["sh", "-c", #"printf '%s|' "$0" "$@" "$A""#, "--", "-x", "--", "", "a b"], environment: ["A": "1"])
        #expect(result.output == "--|-x|--||a b|1|")
    }

    /// The guardian, too, would keep a pipe from ending.
    @Test func nobodyHoldsTheProgramsPipesOpen() async throws {
        let folder = try TemporaryDirectory()
        let program = "exec 1>&- 3>&-; n=0; while [ ! -e go ] && [ $n -lt 1000 ]; do sleep 0.05; n=$((n + 1)); done"
        let line = "'\(CrashRun.executable.path)' run -- sh -c '\(program)' 3>&1 2>/dev/null | { cat; echo ended; }"
        let shell = try CrashRun.start(
            ["bash", "-c", line], environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path], directory: folder.url
        )
        #expect(await Command.eventually { shell.standardOutput.contains("ended") })
        try folder.write("", to: "go")
        #expect(await shell.wait() == .code(0))
    }

    @Test func dispositionsAndMaskOfSignalsStay() async throws {
        let status = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
        // SIGCHLD, SIGPIPE and SIGHUP ignored, SIGUSR1 blocked: what run itself must do otherwise.
        let prepare = """
            import os, signal, sys
            for s in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
            os.execvp(sys.argv[1], sys.argv[1:])
            """
        let python = try #require(TestPython.path)
        let folder = try TemporaryDirectory()
        let plain = try CrashRun.start([python, "-c", prepare] + status)
        #expect(await plain.wait() == .code(0))
        let captured = try CrashRun.start(
            [python, "-c", prepare, CrashRun.executable.path, "run", "--"] + status,
            environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path])
        #expect(await captured.wait() == .code(0))
        #expect(plain.standardOutput.contains("SigBlk:\t0000000000000200\n"))
        #expect(captured.standardOutput == plain.standardOutput)
    }

    /// Neither the guardian nor any other process of run's is the program's child, and SIGCHLD comes for its own alone.
    @Test func theProgramsChildrenAreItsOwn() async throws {
        let python = try #require(TestPython.path)
        let program = """
            import os, signal, sys
            came = []
            signal.signal(signal.SIGCHLD, lambda s, f: came.append(s))
            try:
                os.waitpid(-1, os.WNOHANG)
                print("a child that is not mine")
            except ChildProcessError:
                pass
            pids = {os.fork() for _ in range(1)}
            if 0 in pids: os._exit(3)
            pid, status = os.waitpid(-1, 0)
            print(pid in pids, os.WEXITSTATUS(status), len(came))
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                print("no more")
            """
        let result = try await CrashRun.run([python, "-c", program])
        #expect(result.output == "True 3 1\nno more\n")
        #expect(result.ending == .code(0))
    }

    @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGWINCH])
    func aSignalForRunReachesTheProgram(signal: Int32) async throws {
        let python = try #require(TestPython.path)
        let program = """
            import signal, sys
            signal.pthread_sigmask(signal.SIG_BLOCK, [\(signal)])
            print("ready", flush=True)
            got = signal.sigtimedwait([\(signal)], 30)
            sys.exit(40 + (got.si_signo if got else 0))
            """
        let run = try CrashRun([python, "-c", program])
        #expect(await Command.eventually { run.command.standardOutput.contains("ready") })
        run.command.send(signal: signal)
        #expect(try await run.finish().ending == .code(40 + signal))
    }

    @Test func runItselfDoesNotDieOfASignalThatTheProgramOutlives() async throws {
        let program = "trap 'echo caught' TERM; echo ready; while :; do sleep 0.05; [ -e stop ] && exit 5; done"
        let folder = try TemporaryDirectory()
        let run = try CrashRun(["sh", "-c", program], folder: folder, directory: folder.url)
        #expect(await Command.eventually { run.command.standardOutput.contains("ready") })
        run.command.send(signal: SIGTERM)
        #expect(await Command.eventually { run.command.standardOutput.contains("caught") })
        try folder.write("", to: "stop")
        #expect(try await run.finish().ending == .code(5))
    }

    @Test func aTerminalsInterruptComesOnceAndJobsStop() async throws {
        let python = try #require(TestPython.path)
        let script = GraniteServer.fixtures.appendingPathComponent("run_terminal.py")
        let folder = try TemporaryDirectory()
        let terminal = try CrashRun.start(
            [python, script.path, CrashRun.executable.path],
            environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path])
        #expect(await terminal.wait() == .code(0), "\(terminal.standardError)")
        #expect(terminal.standardOutput == "interrupts 1\nstopped\ncontinued\nended 9\n")
    }

    @Test func aDaemonIsGuardedUntilItsEnd() async throws {
        let python = try #require(TestPython.path)
        let program = """
            import ctypes, os, signal, sys, time
            if os.fork(): os._exit(0)
            signal.alarm(60)
            os.setsid()
            for fd in range(3): os.dup2(os.open(os.devnull, os.O_RDWR), fd)
            while not os.path.exists("go"): time.sleep(0.02)
            ctypes.string_at(0)
            """
        let folder = try TemporaryDirectory()
        try folder.write(program, to: "daemon.py")
        // What the test's own library has open to learn of ends, the daemon would keep open.
        let line = """
            (for file in /proc/self/fd/*; do number=${file##*/}; [ $number -gt 2 ] && eval "exec $number>&-"; done
             exec '\(CrashRun.executable.path)' run -- '\(python)' daemon.py)
            """
        let shell = try CrashRun.start(
            ["bash", "-c", "\(line); echo code $?"], environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path],
            directory: folder.url)
        #expect(await shell.wait() == .code(0))
        #expect(shell.standardOutput == "code 0\n", "\(shell.standardError)")
        #expect(try CrashRun.reports(in: folder).isEmpty)
        try folder.write("", to: "go")
        #expect(try await Command.eventually { try CrashRun.reports(in: folder).count == 1 })
        #expect(try CrashRun.reports(in: folder).first?.signal?.name == "SIGSEGV")
        #expect(await Command.eventually { CrashRun.processes(with: folder.url.path).isEmpty }, "the guardian stays")
    }

    @Test func theGuardianEndsSoonAfterTheProgram() async throws {
        let folder = try TemporaryDirectory()
        #expect(try await CrashRun.run(["true"], folder: folder).ending == .code(0))
        #expect(await Command.eventually { CrashRun.processes(with: folder.url.path).isEmpty })
    }

    @Test func aGuardianThatIsKilledHoldsNobodyUp() async throws {
        let folder = try TemporaryDirectory()
        let run = try CrashRun(
            ["sh", "-c", "n=0; while [ ! -e go ] && [ $n -lt 1000 ]; do sleep 0.05; n=$((n + 1)); done; exit 6"],
            folder: folder, directory: folder.url)
        #expect(await Command.eventually { !CrashRun.processes(with: folder.url.path).isEmpty })
        for pid in CrashRun.processes(with: folder.url.path) { kill(pid, SIGKILL) }
        #expect(await Command.eventually { !run.command.standardError.isEmpty })
        try folder.write("", to: "go")
        let result = try await run.finish()
        #expect(result.ending == .code(6))
        #expect(result.errors == "granite-crash: The guardian has ended: from here on nothing is captured.\n")
    }

    /// The entry of a dead process goes when it is reaped.
    @Test(.enabled(if: CrashRun.mayMakePidNamespace, "pid namespaces are not allowed here"))
    func asPidOneRunReapsOrphans() async throws {
        let folder = try TemporaryDirectory()
        let line = """
            (sh -c 'echo $$ >orphan' &); n=0
            until [ -s orphan ] && [ ! -e /proc/$(cat orphan) ] || [ $n -gt 400 ]; do sleep 0.05; n=$((n + 1)); done
            [ ! -e /proc/$(cat orphan) ] && echo reaped; kill -TERM $$
            """
        let namespace = try CrashRun.start(
            [
                "unshare", "--pid", "--fork", "--mount-proc", "--", CrashRun.executable.path, "run", "--", "sh", "-c",
                line,
            ], environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path], directory: folder.url)
        // Pid 1 does not die of a signal.
        #expect(await namespace.wait() == .code(143))
        #expect(namespace.standardOutput == "reaped\n", "\(namespace.standardError)")
    }
}
