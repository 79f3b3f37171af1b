// `granite-crash core` and `granite-crash attach` as programs, over a Python that knows nothing of Granite.

import Foundation
import GraniteReport
import GraniteStore
import TestSupport
import Testing

@Suite(.enabled(if: TestPython.path != nil, "no python3"), .timeLimit(.minutes(2)))
struct PostMortemTests {
    let folder: TemporaryDirectory
    let script: URL

    init() throws {
        folder = try TemporaryDirectory()
        script = try folder.write(
            """
            import ctypes, signal, sys, threading, time
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            signal.alarm(110)
            def nap(): time.sleep(100)
            def work(): nap()
            for n in range(3): threading.Thread(target=work, name=f"napper-{n}", daemon=True).start()
            print("ready", flush=True)
            def wait_for_signal():
                signal.signal(signal.SIGUSR1, lambda *_: ctypes.string_at(8))
                while True: signal.pause()
            wait_for_signal()
            """, to: "nappers.py")
    }

    private var python: URL { URL(fileURLWithPath: TestPython.path ?? "") }

    private func start() async throws -> Command {
        let process = try Command(python, [script.path])
        try #require(await Command.eventually { process.standardOutput.contains("ready") }, "\(process.standardError)")
        return process
    }

    private func crash(_ arguments: [String]) async throws -> (ending: Command.Ending, output: String, errors: String) {
        try await Command.run(
            BuildProducts.executable("granite-crash"), arguments,
            environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path])
    }

    private func pythonFrames(_ thread: ThreadReport) -> [String] {
        (thread.frames ?? []).filter { $0.kind == .python }.compactMap(\.symbol)
    }

    private func expectNappers(_ report: CrashReport) {
        let nappers = (report.threads ?? []).filter { $0.name?.hasPrefix("napper-") == true }
        #expect(Set(nappers.compactMap(\.name)) == ["napper-0", "napper-1", "napper-2"])
        for thread in nappers { #expect(pythonFrames(thread).prefix(2) == ["nap", "work"]) }
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/gcore"), "gdb is missing"))
    func coreFromAPipeHasThePythonFramesOfAllThreads() async throws {
        let process = try await start()
        let prefix = folder.file("core").path
        _ = try await Command.run(URL(fileURLWithPath: "/usr/bin/gcore"), ["-o", prefix, "\(process.pid)"])
        process.send(signal: SIGKILL)
        let core = "\(prefix).\(process.pid)"
        let piped = try await Command.run(
            URL(fileURLWithPath: "/bin/sh"),
            [
                "-c", "cat \"$1\" | \"$0\" core --crash-dir \"$2\" --pid 77 --json -",
                BuildProducts.executable("granite-crash").path, core, folder.file("crashes").path,
            ])
        #expect(piped.ending == .code(0), "\(piped.errors)")
        let report = try CrashReport.decode(Array(piped.output.utf8))
        #expect(report.kind == .dump)
        #expect(report.process?.pid == 77)
        #expect(report.worker == nil)
        expectNappers(report)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.file("crashes").path).count(where: {
                $0.hasSuffix(".json")
            }) == 1)

        let direct = try await crash(["core", core])
        #expect(direct.ending == .code(0))
        #expect(!direct.output.contains("worker"), "\(direct.output)")
        #expect(direct.output.contains("dump on request"))
        let limited = try await Command.run(
            URL(fileURLWithPath: "/bin/sh"),
            [
                "-c", "cat \"$1\" | \"$0\" core --crash-dir \"$2\" --max-size 1 --json -",
                BuildProducts.executable("granite-crash").path, core, folder.file("crashes").path,
            ])
        // gdb writes its notes last.
        #expect(limited.ending == .code(65))
        #expect(limited.errors.contains("standard input has no notes"), "\(limited.errors)")
    }

    @Test func whatIsNoCoreEndsWithCode65() async throws {
        let refused = try await crash(["core", BuildProducts.executable("granite-crash").path])
        #expect(refused.ending == .code(65))
        #expect(refused.errors.contains("is an executable or a shared library, not a core dump."))
        let missing = try await crash(["core", folder.file("missing").path])
        #expect(missing.ending == .code(1))
    }

    @Test func attachShowsAllThreadsAndTheProcessGoesOn() async throws {
        let process = try await start()
        let shown = try await crash(["attach", "\(process.pid)", "--json"])
        #expect(shown.ending == .code(0), "\(shown.errors)")
        let report = try CrashReport.decode(Array(shown.output.utf8))
        #expect(report.kind == .dump)
        #expect(report.capture?.incomplete != true, "\(report.capture?.errors ?? [])")
        #expect(report.process?.program?.hasPrefix("python3") == true)
        #expect(report.threads?.first.map(pythonFrames)?.first == "wait_for_signal")
        expectNappers(report)
        #expect(process.isRunning)
        let quiet = try await crash(["attach", "\(process.pid)", "--quiet", "--once"])
        #expect(quiet.output.count == 27)
        process.send(signal: SIGTERM)
        #expect(await process.wait() == .signal(SIGTERM))
        let gone = try await crash(["attach", "\(process.pid)"])
        #expect(gone.ending == .code(1))
        #expect(gone.errors.contains("There is no process \(process.pid)."))
    }

    @Test func watchReportsTheDeathThatItSees() async throws {
        let process = try await start()
        let watch = try watching(process)
        try #require(await Command.eventually { watch.standardError.contains("Watching") }, "\(watch.standardError)")
        process.send(signal: SIGUSR1)
        #expect(await process.wait() == .signal(SIGSEGV))
        #expect(await watch.wait() == .code(0))
        let report = try CrashReport.decode(Array(watch.standardOutput.utf8))
        #expect(report.kind == .signal)
        #expect(report.diagnosis?.category == Diagnosis.Category.nullDereference.rawValue)
        #expect(report.reason?.contains("read address 0x8") == true, "\(report.reason ?? "")")
        #expect(report.process?.exit?.signal == "SIGSEGV")
        #expect(report.threads?.first.map(pythonFrames)?.contains("wait_for_signal") == true)
        expectNappers(report)
    }

    @Test func watchPassesOnWhatEndsTheProcessOtherwise() async throws {
        let process = try await start()
        let watch = try watching(process)
        try #require(await Command.eventually { watch.standardError.contains("Watching") }, "\(watch.standardError)")
        process.send(signal: SIGTERM)
        #expect(await process.wait() == .signal(SIGTERM))
        #expect(await watch.wait() == .code(0))
        #expect(watch.standardError.contains("Process \(process.pid) was ended by SIGTERM."))
        #expect(watch.standardOutput.isEmpty)
    }

    private func watching(_ process: Command) throws -> Command {
        try Command(
            BuildProducts.executable("granite-crash"), ["attach", "\(process.pid)", "--watch", "--json"],
            environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path])
    }
}
