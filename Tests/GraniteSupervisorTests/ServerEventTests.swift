import Foundation
import GraniteLogging
import GraniteReport
import GraniteSupervisor
import Logging
import TestSupport
import Testing

/// The log's vocabulary as machines and people see it.
struct ServerEventTests {
    static let worker = WorkerIdentity(slot: 2, pid: 4711, generation: 1)
    static let summary: CrashSummary = {
        var request = RequestInfo()
        request.id = "7f3c9a"
        request.method = "GET"
        request.target = "/crash/null"
        return CrashSummary(
            id: "01JDF3T8Q2", kind: "signal", reason: "strlen read address 0x0: a null pointer.",
            category: "null_dereference",
            confidence: "certain", request: request, top: ["strlen", "native_crash (app.py:14)"], fingerprint: "5e1a",
            complete: true,
            report: "crashes/01JDF3T8Q2.json")
    }()
    static func respawned(_ crash: ServerEvent.Crash?, early: Bool = false) -> ServerEvent {
        .workerRespawned(
            .init(
                worker: .init(slot: 2, pid: 4790, generation: 2), respawnMilliseconds: 38,
                previous: .init(pid: 4711, uptimeSeconds: 192.4, requests: 18204, exit: ExitStatus(waitStatus: 11)),
                crash: crash,
                alreadyReported: early))
    }

    func write(_ event: ServerEvent, _ format: LogFormat) throws -> String {
        let directory = try TemporaryDirectory()
        let output = try LogOutput(path: directory.file("log").path)
        EventLog(logger: Logger(label: "test") { _ in LineLogHandler(output: output, format: format, clock: { 0 }) })
            .record(event)
        let text = try String(contentsOf: directory.file("log"), encoding: .utf8)
        if format == .json { _ = try JSONSerialization.jsonObject(with: Data(text.utf8)) }
        return text.replacing("1970-01-01T00:00:00.000Z", with: "T")
    }

    @Test func aRespawnCarriesTheReportsSummary() throws {
        #expect(
            try write(Self.respawned(.reported(Self.summary)), .json) == """
                {"time":"T","level":"warning","event":"worker.respawned","worker":{"slot":2,"pid":4790,"generation":2},"respawn_ms":38,\
                "previous":{"pid":4711,"uptime_s":192.4,"requests":18204,"exit":{"signal":"SIGSEGV","number":11,"core_dumped":false}},\
                "crash":{"id":"01JDF3T8Q2","kind":"signal","reason":"strlen read address 0x0: a null pointer.","category":"null_dereference",\
                "confidence":"certain","request":{"id":"7f3c9a","method":"GET","target":"/crash/null"},\
                "top":["strlen","native_crash (app.py:14)"],"fingerprint":"5e1a","complete":true,"report":"crashes/01JDF3T8Q2.json"}}

                """)
        #expect(
            try write(Self.respawned(.reported(Self.summary)), .text) == """
                T warning worker 2 (pid 4711) replaced by pid 4790 after 38 ms · crash 01JDF3T8Q2
                    strlen read address 0x0: a null pointer.
                    serving GET /crash/null (request 7f3c9a)
                      strlen
                      native_crash (app.py:14)
                    granite-crash show 01JDF3T8Q2

                """)
    }

    @Test func aRespawnWithoutAReportNamesTheId() throws {
        #expect(
            try write(Self.respawned(.pending(id: "01JDF3T8Q2")), .json).hasSuffix(
                #""crash":{"id":"01JDF3T8Q2","complete":false}}"# + "\n"))
        #expect(
            try write(Self.respawned(.pending(id: "01JDF3T8Q2")), .text)
                == "T warning worker 2 (pid 4711) replaced by pid 4790 after 38 ms · crash 01JDF3T8Q2, no report yet\n")
    }

    @Test func aStoryThatWasToldIsNotToldAgain() throws {
        #expect(
            try write(Self.respawned(.reported(Self.summary), early: true), .text)
                == "T warning worker 2 (pid 4711) replaced by pid 4790 after 38 ms · crash 01JDF3T8Q2\n")
    }

    @Test func aDeathSaysHowAndAfterWhat() throws {
        let died = ServerEvent.workerExited(
            .init(
                worker: Self.worker, exit: ExitStatus(waitStatus: 11 | 0x80), uptimeSeconds: 192.4, requests: 18204,
                crashID: "01JDF3T8Q2",
                expected: false, oomKills: 0))
        #expect(
            try write(died, .json) == """
                {"time":"T","level":"error","event":"worker.exited","worker":{"slot":2,"pid":4711,"generation":1},"signal":"SIGSEGV","number":11,\
                "core_dumped":true,"uptime_s":192.4,"requests":18204,"expected":false,"during_startup":false,"crash_id":"01JDF3T8Q2","oom_kills":0}

                """)
        #expect(
            try write(died, .text)
                == "T error   worker 2 (pid 4711) died of SIGSEGV after 3 min 12 s, 18,204 requests · crash 01JDF3T8Q2\n"
        )
    }

    @Test func aFailedStartShowsTheMessageAndItsDetails() throws {
        let failed = ServerEvent.workerExited(
            .init(
                worker: Self.worker, exit: ExitStatus(waitStatus: 3 << 8), uptimeSeconds: 1, requests: 0,
                expected: false, duringStartup: true,
                message: "No module named shop.\nTraceback:\n  line 1"))
        #expect(
            try write(failed, .text) == """
                T error   worker 2 (pid 4711) could not start, exited with code 3: No module named shop.
                    Traceback:
                      line 1

                """)
    }

    @Test func whatAnApplicationWritesCannotForgeAnEvent() throws {
        let line = try write(.workerOutput(Self.worker, line: "\"}\n{\"event\":\"forged\"}\u{0}"), .json)
        #expect(line.split(separator: "\n").count == 1)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["event"] as? String == "worker.output")
        #expect(object["line"] as? String == "\"}\n{\"event\":\"forged\"}\u{0}")
    }

    @Test(arguments: [
        (
            ServerEvent.serverStopped(exitCode: 0, reason: "SIGTERM", uptimeSeconds: 3700),
            "T info    stopped after 1 h 1 min: SIGTERM\n"
        ),
        (
            .serverStopped(exitCode: 5, reason: "in use", uptimeSeconds: 0),
            "T error   not started, exit code 5: in use\n"
        ),
        (
            .workerCrashLoop(slot: 1, failures: 4, backoffSeconds: 2),
            "T warning worker 1 keeps failing, 4 times in a row: next try in 2 s\n"
        ),
        (.workerReady(worker, startupMilliseconds: 143.44), "T info    worker 2 (pid 4711) ready after 143 ms\n"),
    ]) func othersAreSentencesToo(_ event: ServerEvent, _ expected: String) throws {
        #expect(try write(event, .text) == expected)
        _ = try write(event, .json)
    }
}
