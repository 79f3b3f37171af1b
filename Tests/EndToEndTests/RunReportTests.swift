// Programs that were never written for Granite, and the reports of their crashes under `granite-crash run`.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3)))
struct RunReportTests {
    private static let crash = "import ctypes; ctypes.string_at(0)"

    private func python() throws -> String { try #require(TestPython.path) }

    private func pythonFrames(_ report: CrashReport?) -> [String] {
        (report?.crashedThread?.frames ?? []).filter { $0.kind == .python }.compactMap(\.symbol)
    }

    @Test func aCrashedProgramHasAReportAndALine() async throws {
        let result = try await CrashRun.run([try python(), "-c", Self.crash])
        #expect(result.ending == .signal(SIGSEGV))
        #expect(result.reports.count == 1)
        let report = try #require(result.reports.first)
        #expect(report.kind == .signal)
        #expect(report.worker == nil)
        #expect(report.process?.program?.hasPrefix("python") == true)
        #expect(report.process?.exit?.signal == "SIGSEGV")
        #expect(report.diagnosis?.category == "null_dereference")
        #expect(report.capture?.incomplete != true)
        #expect(pythonFrames(report).contains("string_at"))
        let program = report.process?.program ?? ""
        let pid = report.process?.pid ?? 0
        #expect(
            result.errors
                == "granite-crash: \(program) (pid \(pid)) died of SIGSEGV: \(report.reason ?? "") · granite-crash show \(report.id.prefix(10))\n"
        )
    }

    /// Readers of a report about a program of theirs must not meet a server that they do not have.
    @Test func theTextOfAProgramsReportSpeaksOfNoWorker() async throws {
        let folder = try TemporaryDirectory()
        _ = try await CrashRun.run([try python(), "-c", Self.crash], folder: folder)
        _ = try await CrashRun.run(["sh", "-c", "kill -SEGV $$"], folder: folder)
        _ = try await CrashRun.run(["sh", "-c", "kill -KILL $$"], options: ["--report-exits"], folder: folder)
        let ended = try await CrashRun.run(["sh", "-c", "exit 7"], options: ["--report-exits"], folder: folder)
        #expect(ended.reports.count == 4)
        for report in ended.reports {
            let shown = try await Command.run(
                CrashRun.executable, ["show", report.id, "--all", "--crash-dir", folder.file("crashes").path])
            #expect(shown.ending == .code(0))
            for word in ["orker", "request", "replaced", "supervisor"] {
                #expect(!shown.output.contains(word), "\(word) in \(shown.output)")
            }
        }
        #expect(ended.reports.map(\.kind) == [.signal, .signal, .signal, .exit])
        #expect(ended.reports.last?.reason == "The process exited with code 7.")
    }

    @Test func aPipelineInAShellKeepsItsCodes() async throws {
        let python = try python()
        let result = try await CrashRun.run(
            ["bash", "-c", "'\(python)' -c '\(Self.crash)' | cat; exit ${PIPESTATUS[0]}"])
        #expect(result.ending == .code(128 + SIGSEGV))
        #expect(result.reports.count == 1)
        #expect(result.reports.first?.process?.program?.hasPrefix("python") == true)
        #expect(result.errors.contains("died of SIGSEGV"))
    }

    @Test func aProgramThatExecutesAnotherIsToldByTheOthersName() async throws {
        let result = try await CrashRun.run(["sh", "-c", "exec '\(try python())' -c '\(Self.crash)'"])
        #expect(result.ending == .signal(SIGSEGV))
        #expect(result.reports.count == 1)
        #expect(result.reports.first?.process?.program?.hasPrefix("python") == true)
    }

    @Test func aForkedChildHasAReportOfItsOwn() async throws {
        let program = """
            import ctypes, os
            pid = os.fork()
            if pid == 0: ctypes.string_at(0)
            print(pid, os.waitpid(pid, 0)[1] & 0x7f)
            """
        let result = try await CrashRun.run([try python(), "-c", program])
        #expect(result.ending == .code(0))
        let report = try #require(result.reports.first)
        #expect(result.reports.count == 1)
        #expect(result.output == "\(report.process?.pid ?? 0) \(SIGSEGV)\n")
        #expect(pythonFrames(report).contains("<module>"))
    }

    @Test func newsAreJSONForMachines() async throws {
        let folder = try TemporaryDirectory()
        let log = folder.file("news.log")
        let result = try await CrashRun.run(
            [try python(), "-c", Self.crash], options: ["--format", "json", "--log-file", log.path], folder: folder)
        #expect(result.errors.isEmpty)
        let events = GraniteServer.events(in: log)
        #expect(events.map(\.name) == ["crash.reported"])
        let report = try #require(result.reports.first)
        #expect(events.first?.string("crash.id") == report.id)
        #expect(events.first?.string("crash.report") == folder.file("crashes/\(report.id).json").path)
        #expect(events.first?.string("signal") == "SIGSEGV")
        #expect(events.first?.int("process.pid") == report.process?.pid)
        #expect(events.first?["alive"] as? Bool == false)
        #expect(events.first?.string("level") == "error")
    }

    @Test func quietPrintsNothingAndShowPrintsAll() async throws {
        let quiet = try await CrashRun.run([try python(), "-c", Self.crash], options: ["--quiet"])
        #expect(quiet.errors.isEmpty)
        #expect(quiet.reports.count == 1)
        let shown = try await CrashRun.run([try python(), "-c", Self.crash], options: ["--show"])
        #expect(shown.errors.contains("*** granite crash \(shown.reports.first?.id ?? "?") · python"))
        #expect(shown.ending == .signal(SIGSEGV))
    }

    @Test func levelOffCapturesNothingButStillTellsOfTheDeath() async throws {
        let result = try await CrashRun.run([try python(), "-c", Self.crash], options: ["--level", "off"])
        #expect(result.ending == .signal(SIGSEGV))
        #expect(result.reports.first?.signal?.name == "SIGSEGV")
        #expect(result.reports.first?.threads == nil)
    }

    @Test(.enabled(if: TestCgroup.isAllowed, "no memory cgroup may be made here"))
    func aKillOfTheOOMKillerIsReported() async throws {
        let cgroup = try #require(TestCgroup(limitBytes: 256 << 20))
        let folder = try TemporaryDirectory()
        let program = "blocks = []\nwhile True: blocks.append(b'x' * (8 << 20))"
        let run = try CrashRun.start(
            cgroup.launcher + [CrashRun.executable.path, "run", "--", try python(), "-c", program],
            environment: ["GRANITE_CRASH_DIR": folder.file("crashes").path])
        #expect(await run.wait() == .signal(SIGKILL))
        let report = try #require(try CrashRun.reports(in: folder).first, "\(run.standardError)")
        #expect(report.kind == .oomKill)
        #expect(report.diagnosis?.category == "out_of_memory")
        #expect(report.process?.program?.hasPrefix("python") == true)
        #expect(await Command.eventually { CrashRun.processes(with: folder.url.path).isEmpty })
    }

    // MARK: - Compiled programs

    private func compiled(_ source: String, _ name: String, _ compiler: [String], in folder: TemporaryDirectory)
        async throws -> String
    {
        try folder.write(source, to: name)
        let program = folder.file("program").path
        let result = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/env"), compiler + ["-o", program, folder.file(name).path], limit: 120)
        try #require(result.ending == .code(0), "\(result.errors)")
        return program
    }

    @Test func anUncaughtExceptionOfCPlusPlusIsAnAbort() async throws {
        let folder = try TemporaryDirectory()
        let program = try await compiled(
            """
            #include <stdexcept>
            __attribute__((noinline)) void order(int number) { if (number > 1) throw std::runtime_error("no such order"); }
            int main(int count, char **) { order(count + 1); }
            """, "order.cpp", ["g++", "-g"], in: folder)
        let result = try await CrashRun.run([program], folder: folder)
        #expect(result.ending == .signal(SIGABRT))
        let report = try #require(result.reports.last)
        #expect(report.signal?.name == "SIGABRT")
        #expect(report.process?.program == "program")
        #expect(report.crashedThread?.frames?.contains { $0.symbol?.hasPrefix("order") == true } == true)
        // What it says, what() knows: code of the program, which is not run. The stack that throws is the one that died.
        #expect(report.reason?.contains("std::runtime_error") == true, "\(report.reason ?? "")")
    }

    @Test(.enabled(if: CrashRun.isInPath("swiftc"), "no swiftc in PATH"))
    func aTrapOfSwiftIsExplained() async throws {
        let folder = try TemporaryDirectory()
        let program = try await compiled(
            """
            @inline(never) func pick(_ numbers: [Int], _ index: Int) -> Int { numbers[index] }
            print(pick([1, 2, 3], CommandLine.arguments.count + 7))
            """, "pick.swift", ["swiftc", "-g"], in: folder)
        let result = try await CrashRun.run([program], environment: ["SWIFT_BACKTRACE": "enable=no"], folder: folder)
        let report = try #require(result.reports.first)
        #expect(result.ending == .signal(Int32(report.signal?.number ?? 0)))
        #expect(["SIGILL", "SIGTRAP"].contains(report.signal?.name))
        #expect(report.crashedThread?.frames?.contains { $0.symbol?.contains("pick") == true } == true)
    }

    // MARK: - Servers

    /// A server's first line that matches, and its port.
    private func port(in text: @autoclosure () -> String, after mark: String) async -> Int? {
        func find() -> Int? {
            guard let range = text().range(of: mark) else { return nil }
            return Int(text()[range.upperBound...].prefix { $0.isNumber })
        }
        _ = await Command.eventually { find() != nil }
        return find()
    }

    private func get(_ target: String, port: Int) async throws -> String {
        try await Command.run(
            URL(fileURLWithPath: "/usr/bin/curl"), ["-s", "-m", "20", "http://127.0.0.1:\(port)\(target)"]
        ).output
    }

    private func tool(_ name: String) throws -> String {
        URL(fileURLWithPath: try python()).deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// Asks, crashes a worker, and asks its replacement; then ends the server.
    private func crashAWorker(_ run: CrashRun, port: Int) async throws -> CrashReport {
        let first = try await get("/", port: port)
        #expect(Int(first) != nil)
        _ = try await get("/crash", port: port)
        #expect(try await Command.eventually { try run.reports().count == 1 })
        var second = ""
        #expect(
            try await Command.eventually {
                second = try await get("/", port: port)
                return Int(second) != nil
            })
        #expect(second != first)
        let report = try #require(try run.reports().first)
        #expect(report.process?.pid.map { "\($0)" } == first)
        return report
    }

    @Test(.enabled(if: TestPython.has("gunicorn"), "the tests' Python has no gunicorn"))
    func gunicornsWorkerIsReportedAndReplaced() async throws {
        let run = try CrashRun(
            [try tool("gunicorn"), "--bind", "127.0.0.1:0", "--workers", "1", "run_app:application"],
            directory: GraniteServer.fixtures)
        let port = try #require(
            await port(in: run.command.standardError, after: "Listening at: http://127.0.0.1:"),
            "\(run.command.standardError)")
        let report = try await crashAWorker(run, port: port)
        #expect(report.signal?.name == "SIGSEGV")
        #expect(pythonFrames(report).contains("native_crash"))
        #expect(pythonFrames(report).contains("application"))
        run.command.send(signal: SIGTERM)
        let result = try await run.finish()
        #expect(result.ending == .code(0))
        #expect(result.reports.count == 1)
        #expect(result.errors.contains("granite-crash: "))
        #expect(await Command.eventually { CrashRun.processes(with: run.folder.url.path).isEmpty })
    }

    @Test(.enabled(if: CrashRun.has("uwsgi"), "the tests' Python has no uWSGI"))
    func uWSGIsWorkerIsReportedAndReplaced() async throws {
        let run = try CrashRun(
            [
                try tool("uwsgi"), "--http-socket", "127.0.0.1:0", "--master", "--processes", "1", "--need-app",
                "--die-on-term", "--module", "run_app:application",
            ], directory: GraniteServer.fixtures)
        let port = try #require(
            await port(in: run.command.standardError, after: "bound to TCP address 127.0.0.1:"),
            "\(run.command.standardError)")
        let report = try await crashAWorker(run, port: port)
        #expect(report.signal?.name == "SIGSEGV")
        #expect(pythonFrames(report).contains("native_crash"))
        run.command.send(signal: SIGTERM)
        let result = try await run.finish()
        #expect(result.reports.count == 1)
    }

    // MARK: - What happens again and again

    @Test func whatHappensAgainIsCountedInOneLine() async throws {
        let program = """
            class Connection:
                def __del__(self): raise ValueError("used after close")
            for _ in range(500): Connection()
            """
        let result = try await CrashRun.run([try python(), "-c", program])
        #expect(result.ending == .code(0))
        #expect(result.reports.map(\.kind) == [.unraisable])
        let counted = result.errors.split(separator: "\n").filter { $0.hasSuffix("499 more like it were only counted") }
        #expect(counted.count == 1, "\(result.errors.suffix(2000))")
    }
}
