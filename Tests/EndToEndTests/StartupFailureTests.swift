// Workers that never serve: the report says why, with the traceback or the last words, and whether we ended it ourselves.

import Foundation
import GraniteReport
import TestSupport
import Testing

/// A way in which Fixtures/failing_start.py does not come up.
struct FailedStart: Sendable, CustomTestStringConvertible {
    var way: String
    var kind: CrashReport.Kind = .startup
    var signal: String?
    var code: Int?
    var category = "startup_failure"
    var reason: String
    var lastWords: String
    var testDescription: String { way }
}

@Suite(.serialized, .enabled(if: TestPython.has("flask"), "Flask is missing: run Tests/run"), .timeLimit(.minutes(3)))
struct StartupFailureTests {
    @Test(arguments: [
        FailedStart(
            way: "import-error", code: 3,
            reason:
                "The worker exited with code 3 before it was ready: ModuleNotFoundError: No module named 'a_module_that_nobody_has'.",
            lastWords: "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
        FailedStart(
            way: "exit", code: 3, reason: "The worker exited with code 3 before it was ready: SystemExit: 7.",
            lastWords: "SystemExit: 7"),
        FailedStart(
            way: "os-exit", code: 7, reason: "The worker exited with code 7 before it was ready.",
            lastWords: "about to os-exit"),
        FailedStart(
            way: "crash", kind: .signal, signal: "SIGSEGV", category: "null_dereference",
            reason: "strlen read address 0x0: a null pointer that Python passed to ctypes.string_at in <module>",
            lastWords: "about to crash"),
        FailedStart(
            way: "hang", signal: "SIGKILL",
            reason: "The supervisor killed the worker: it was not ready after 1.5 s (--startup-timeout).",
            lastWords: "about to hang"),
    ])
    func isReportedOnceWithItsCause(start: FailedStart) async throws {
        let folder = try TemporaryDirectory()
        let (log, crashes) = (folder.file("granite.log"), folder.file("crashes"))
        let command = try GraniteServer.start(
            "failing_start:app", in: GraniteServer.fixtures, log: log, crashes: crashes,
            arguments: ["--workers", "1"] + (start.way == "hang" ? ["--startup-timeout", "1.5"] : []),
            environment: ["FAILING_START": start.way])
        #expect(await command.wait(limit: 60) == .code(3), "\(command.standardError)")
        let events = GraniteServer.events(in: log)
        let exited = try #require(events.first { $0.name == "worker.exited" })
        #expect(exited.string("signal") == start.signal)
        #expect(exited.int("code") == start.code)
        #expect(exited["during_startup"] as? Bool == true)
        let reported = events.filter { $0.name == "crash.reported" }
        #expect(reported.count == 1)
        let id = try #require(reported.first?.string("crash.id"))
        let report = try CrashReport.decode([UInt8](Data(contentsOf: crashes.appendingPathComponent("\(id).json"))))
        #expect(report.kind == start.kind)
        #expect(report.diagnosis?.category == start.category)
        #expect(report.reason?.hasPrefix(start.reason) == true, "\(report.reason ?? "")")
        #expect(report.logTail?.last == start.lastWords, "\(report.logTail ?? [])")
        #expect(
            report.process?.killedBecause
                == (start.way == "hang" ? "it was not ready after 1.5 s (--startup-timeout)" : nil))
    }
}
