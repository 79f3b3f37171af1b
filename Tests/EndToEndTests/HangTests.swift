// Workers that hang, and workers that are looked at while they work: what the log says, what the report holds, and that they go on.

import Foundation
import GraniteReport
import Synchronization
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestPython.path != nil, "Python is missing: run Tests/run"), .timeLimit(.minutes(5)))
struct HangTests {
    private func server(_ arguments: [String] = [], workers: Int = 1) async throws -> GraniteServer {
        try await GraniteServer("hangs:app", in: GraniteServer.fixtures, workers: workers, arguments: arguments)
    }

    private func dump(_ server: GraniteServer, _ arguments: [String]) async throws -> (
        ending: Command.Ending, output: String, errors: String
    ) {
        try await Command.run(
            BuildProducts.executable("granite-crash"),
            ["dump"] + arguments + ["--crash-dir", server.crashes.path])
    }

    /// Waits until /sleep says that it sleeps.
    private func asleep(_ server: GraniteServer) async throws {
        let output = try await server.event("worker.output")
        #expect(output.line.contains("asleep"), "\(output.line)")
    }

    /// Innermost first, the words that the sentence must hold.
    static let hangs: [(path: String, words: [String])] = [
        ("/sleep", ["GET /sleep has been running for", "in time.sleep called by sleep (hangs.py:"]),
        ("/spin", ["GET /spin has been running for", "spin (hangs.py:"]),
        ("/gil", ["GET /gil has been running for", "called by hold_gil (hangs.py:"]),
        ("/regex", ["GET /regex has been running for", "backtrack (hangs.py:"]),
        ("/lock", ["waiting for a lock (Lock.acquire) called by wait_for_lock (hangs.py:"]),
        ("/recv", ["in socket.recv called by receive (hangs.py:"]),
    ]

    @Test(arguments: hangs)
    func aRequestOverTheHardLimitEndsItsWorkerWithAReportThatNamesTheLine(path: String, words: [String]) async throws {
        let server = try await server(["--request-timeout", "0", "--request-kill-timeout", "1.5"], workers: 2)
        let pids = Set(server.events("worker.ready").compactMap { $0.int("worker.pid") })
        #expect(await server.get(path) == nil)
        let respawned = try await server.event("worker.respawned")
        let hanging = try await server.event("worker.hanging")
        #expect(hanging.string("cause") == "request_kill_timeout")
        #expect(hanging.string("request.target") == path)
        let exited = try await server.event("worker.exited")
        #expect(exited.string("signal") == "SIGKILL")
        #expect(exited.line.contains("--request-kill-timeout"), "\(exited.line)")
        let died = try #require(exited.int("worker.pid"))
        #expect(respawned.string("crash.kind") == "hang", "\(respawned.line)")
        let id = try #require(respawned.string("crash.id"))
        #expect(id == exited.string("crash_id"))
        let report = try server.report(id)
        let reason = report.reason ?? ""
        for word in words { #expect(reason.contains(word), "\(reason)") }
        #expect(report.diagnosis?.category == "hang")
        #expect(report.capture?.incomplete != true, "\(report.capture?.errors ?? [])")
        #expect(report.process?.exit?.signal == "SIGKILL")
        // The other one serves on.
        #expect(server.events("worker.exited").count == 1)
        let other = try #require(pids.subtracting([died]).first)
        #expect(kill(pid_t(other), 0) == 0)
        #expect(await server.get("/ok")?.status == 200)
        #expect(await server.stop() == .code(0))
    }

    @Test func aRequestOverTheSoftLimitIsReportedOnceAndAnswered() async throws {
        let server = try await server(["--request-timeout", "1"])
        let answer = await server.get("/sleep?s=3")
        #expect(answer?.body == "ok")
        let reported = try await server.event("crash.reported")
        #expect(reported.string("crash.kind") == "hang")
        #expect(reported["alive"] as? Bool == true)
        let report = try server.report(try #require(reported.string("crash.id")))
        #expect(report.request?.target?.hasPrefix("/sleep") == true)
        #expect(report.reason?.contains("in time.sleep called by sleep (hangs.py:") == true, "\(report.reason ?? "")")
        #expect(server.events("worker.hanging").count == 1)
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }

    @Test func aStoppedWorkerIsToldAndKilledAtTheHardLimitWithoutItsHelp() async throws {
        let server = try await server(["--request-timeout", "0", "--request-kill-timeout", "1"])
        let pid = try #require(server.events("worker.ready").first?.int("worker.pid"))
        async let answer = server.get("/sleep")
        try await asleep(server)
        kill(pid_t(pid), SIGSTOP)
        let exited = try await server.event("worker.exited")
        #expect(exited.string("signal") == "SIGKILL")
        #expect(exited.line.contains("--request-kill-timeout"))
        #expect(await answer == nil)
        #expect(await server.stop() == .code(0))
    }

    @Test func aDumpShowsTheLineAndTheWorkerGoesOn() async throws {
        let server = try await server()
        let pid = try #require(server.events("worker.ready").first?.int("worker.pid"))
        let idle = try await dump(server, ["1"])
        #expect(idle.ending == .code(0), "\(idle.errors)")
        #expect(idle.output.contains("worker 1, dump on request"), "\(idle.output)")

        async let slow = server.get("/sleep?s=4")
        try await asleep(server)
        let busy = try await dump(server, ["\(pid)", "--json"])
        #expect(busy.ending == .code(0), "\(busy.errors)")
        let report = try CrashReport.decode(Array(busy.output.utf8))
        #expect(report.kind == .dump)
        #expect(report.reason?.contains("A dump while GET /sleep") == true, "\(report.reason ?? "")")
        #expect(report.threads?.first?.frames?.contains { $0.symbol == "sleep" && $0.kind == .python } == true)
        #expect(await slow?.body == "ok")
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }

    @Test func aDumpThatCannotBeIsRefusedWithAReason() async throws {
        let server = try await server()
        let pid = try #require(server.events("worker.ready").first?.int("worker.pid"))
        let wrong = try await dump(server, ["999"])
        #expect(wrong.ending == .code(1))
        #expect(wrong.errors.contains("There is no worker 999, only server"), "\(wrong.errors)")
        kill(pid_t(pid), SIGSTOP)
        let stopped = try await dump(server, [])
        kill(pid_t(pid), SIGCONT)
        #expect(stopped.ending == .code(1))
        #expect(stopped.errors.contains("it is stopped (state T"), "\(stopped.errors)")
        #expect(await server.get("/ok")?.body == "ok")
        #expect(await server.stop() == .code(0))
        let gone = try await dump(server, [])
        #expect(gone.errors.contains("No running server keeps its reports in"), "\(gone.errors)")
    }

    /// PEP 475: what a signal interrupts is taken up again.
    @Test func callsThatWaitAreNotCutShortByDumps() async throws {
        let server = try await server()
        async let measured = server.get("/measured?s=1.2")
        for _ in 0..<12 {
            let run = try await dump(server, ["1", "--quiet"])
            #expect(run.ending == .code(0), "\(run.errors)")
        }
        let answer = try #require(await measured)
        let seconds = answer.body.split(separator: " ").compactMap { Double($0) }
        #expect(seconds.count == 4, "\(answer.body)")
        for length in seconds { #expect(length >= 1.19) }
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }

    @Test func dumpsUnderLoadCostNoRequest() async throws {
        let server = try await server(workers: 1)
        let port = server.port
        let done = Mutex(false)
        /// How many were asked, and the answers that were none, in rounds until the dumps are done.
        func load() async throws -> (asked: Int, bad: [Substring]) {
            var (asked, bad) = (0, [Substring]())
            repeat {
                let round = try await Command.run(
                    URL(fileURLWithPath: "/usr/bin/curl"),
                    [
                        "-s", "-o", "/dev/null", "-w", "%{http_code}\n", "--parallel", "--parallel-max", "8",
                        "http://127.0.0.1:\(port)/pid?[1-500]",
                    ])
                let codes = round.output.split(separator: "\n")
                asked += codes.count
                bad += codes.filter { $0 != "200" } + (codes.count == 500 ? [] : ["\(codes.count) answers to 500"])
            } while !done.withLock { $0 }
            return (asked, bad)
        }
        async let answers = load()
        for _ in 0..<12 {
            let run = try await dump(server, ["1", "--quiet"])
            #expect(run.ending == .code(0), "\(run.errors)")
        }
        done.withLock { $0 = true }
        let (asked, bad) = try await answers
        #expect(asked >= 500)
        #expect(bad == [])
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }
}
