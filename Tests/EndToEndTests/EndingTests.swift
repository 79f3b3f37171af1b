// Deaths that no signal handler sees: each is reported once, with its wait status, kind, category and the request that was being served.

import Foundation
import GraniteReport
import TestSupport
import Testing

/// A way to die of the Flask sample, and what must be told of it.
struct SampleEnding: Sendable, CustomTestStringConvertible {
    var path: String
    var signal: String?
    var code: Int?
    var kind: String
    var category: String
    var reason: String
    var testDescription: String { path }
}

@Suite(.serialized, .enabled(if: TestPython.has("flask"), "Flask is missing: run Tests/run"), .timeLimit(.minutes(3)))
struct EndingTests {
    @Test(arguments: [
        SampleEnding(
            path: "/crash/exit", code: 7, kind: "exit", category: "exit_code",
            reason: "The worker exited with code 7 without being asked to stop while it served a request."),
        SampleEnding(
            path: "/crash/kill", signal: "SIGKILL", kind: "signal", category: "killed_by_process",
            reason:
                "The worker was killed with SIGKILL while it served a request by some process, not by the OOM killer;"),
        SampleEnding(
            path: "/crash/signal?name=SIGUSR2", signal: "SIGUSR2", kind: "signal", category: "killed_by_process",
            reason: "The worker was ended by SIGUSR2, which its supervisor had not sent while it served a request."),
        SampleEnding(
            path: "/crash/abort", signal: "SIGABRT", kind: "signal", category: "abort",
            reason: "The program called abort"),
    ])
    func isReportedOnceWithItsStatusAndRequest(ending: SampleEnding) async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        #expect(await server.get("/json?token=hidden")?.status == 200)
        #expect(await server.get(ending.path) == nil)
        let exited = try await server.event("worker.exited")
        #expect(exited.string("signal") == ending.signal)
        #expect(exited.int("code") == ending.code)
        #expect(exited.int("in_flight") == 1)
        let respawned = try await server.event("worker.respawned")
        #expect(respawned.string("crash.kind") == ending.kind)
        #expect(respawned.string("crash.category") == ending.category)
        #expect(respawned.string("crash.reason")?.hasPrefix(ending.reason) == true, "\(respawned.line)")
        #expect(respawned.string("crash.request.target") == ending.path)
        let report = try server.report(try #require(respawned.string("crash.id")))
        #expect(report.request?.method == "GET" && report.request?.target == ending.path)
        #expect((report.request?.ageMilliseconds ?? -1) >= 0)
        #expect(report.process?.exit?.signal == ending.signal && report.process?.exit?.code == ending.code)
        #expect(report.recentRequests?.map(\.target) == ["/json?token=[redacted]"])
        #expect(report.recentRequests?.first?.status == 200)
        #expect((report.recentRequests?.first?.agoSeconds ?? -1) >= 0)
        #expect(report.process?.memory?.trend?.isEmpty == false)
        #expect((report.process?.resources?.maxRSSBytes ?? 0) > 0)
        #expect(await server.stop() == .code(0))
        #expect(try server.storedReports() == [report.id])
    }

    @Test func aKillFromOutsideIsReportedWithoutARequest() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        let pid = try #require(try await server.event("worker.ready").int("worker.pid"))
        kill(pid_t(pid), SIGKILL)
        let respawned = try await server.event("worker.respawned")
        #expect(respawned.string("crash.category") == "killed_by_process")
        #expect(respawned["crash.request"] == nil)
        #expect(try await server.event("worker.exited")["in_flight"] == nil)
        #expect(await server.stop() == .code(0))
        #expect(try server.storedReports().count == 1)
    }

    @Test func aWorkerThatSomebodyElseTellsToStopSaysWhoItWas() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        let pid = try #require(try await server.event("worker.ready").int("worker.pid"))
        kill(pid_t(pid), SIGTERM)
        let exited = try await server.event("worker.exited")
        #expect(exited.int("code") == 0)
        #expect(exited.string("level") == "warning")
        let message = try #require(exited.string("message"))
        #expect(
            message.hasPrefix("process \(getpid()) (") && message.hasSuffix(") sent it SIGTERM, its supervisor did not")
        )
        _ = try await server.event("worker.ready", count: 2)
        #expect(await server.get("/crash/signal?name=SIGTERM")?.body == "survived\n")
        #expect(try await server.event("worker.exited", count: 2).string("message") == "it sent SIGTERM to itself")
        #expect(await server.stop() == .code(0))
        #expect(server.events("worker.exited").last?.string("message") == nil)
        #expect(try server.storedReports() == [])
    }

    /// Gunicorn's worker ends of it, with code 3 its whole server.
    @Test func systemExitInARequestIsThatRequestsErrorAndNoDeath() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        #expect(await server.get("/crash/sys-exit")?.status == 500)
        let said = await Command.eventually {
            server.events("worker.output").contains { $0.string("line") == "SystemExit: 3" }
        }
        #expect(said)
        #expect(await server.get("/")?.status == 200)
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }

    @Test func systemExitInABodyCutsThatResponseAlone() async throws {
        let server = try await GraniteServer("endings:app", in: GraniteServer.fixtures)
        #expect(await server.get("/system-exit-in-body") == nil)
        #expect(await server.get("/")?.status == 200)
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }

    @Test(arguments: ["exit", "crash"])
    func lastWordsAreInTheReportAlthoughNoLineFeedFollowed(way: String) async throws {
        let server = try await GraniteServer("endings:app", in: GraniteServer.fixtures)
        #expect(await server.get("/last-words/\(way)") == nil)
        let respawned = try await server.event("worker.respawned")
        let report = try server.report(try #require(respawned.string("crash.id")))
        #expect(
            report.logTail?.suffix(2) == [
                "terminate called after throwing an instance of 'std::bad_alloc'", "last words, no line feed",
            ])
        #expect(await server.stop() == .code(0))
    }

    @Test func aWorkerThatIsKilledBecauseItDoesNotStopIsReportedAsOurs() async throws {
        let server = try await GraniteServer(
            "endings:app", in: GraniteServer.fixtures, arguments: ["--graceful-timeout", "0.2"])
        let request = Task { await server.get("/sleep") }
        let begun = await Command.eventually {
            server.events("worker.output").contains { $0.string("line") == "asleep" }
        }
        #expect(begun)
        #expect(await server.stop() == .code(0))
        #expect(await request.value == nil)
        let exited = try await server.event("worker.exited")
        let because = "it had not ended 2.2 s after it was told to stop (--graceful-timeout)"
        #expect(exited.string("killed_because") == because)
        let reported = try await server.event("crash.reported")
        #expect(reported.string("crash.category") == "killed_by_supervisor")
        #expect(reported.string("crash.confidence") == "certain")
        let report = try server.report(try #require(reported.string("crash.id")))
        #expect(report.process?.killedBecause == because)
        #expect(report.requests?.map(\.target) == ["/sleep"])
        #expect(report.reason == "The supervisor killed the worker: \(because) while it served a request.")
    }
}

extension GraniteServer {
    /// The ids of all stored reports, oldest first.
    func storedReports() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: crashes.path).filter { $0.hasSuffix(".json") }
            .map { String($0.dropLast(5)) }.sorted()
    }
}
