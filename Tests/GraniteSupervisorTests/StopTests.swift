import Foundation
import GraniteReport
import GraniteSupervisor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct StopTests {
    @Test func stoppingDrainsEveryWorkerAndEndsWithCodeZero() async throws {
        var pids: [Int32] = []
        let code = try await TestServer.run {
            $0.workers = 2
        } _: { server in
            pids = [try await server.recorder.ready(1).pid, try await server.recorder.ready(2).pid]
            server.supervisor.stop(reason: "SIGTERM")
            #expect(try await server.recorder.exited(1).expected)
            #expect(try await server.recorder.exited(2).expected)
            guard case .serverStopped(0, "SIGTERM", _) = try await server.recorder.named("server.stopped") else {
                Issue.record("\(server.recorder.events)")
                return
            }
            #expect(!server.recorder.names.contains("worker.respawned"))
            #expect(server.recorder.names.suffix(2) == ["collector.exited", "server.stopped"])
        }
        #expect(code == 0)
        #expect(pids.filter(exists) == [])
    }

    @Test func aWorkerThatDoesNotStopIsKilledAtTheDeadline() async throws {
        let code = try await TestServer.run {
            $0.gracePeriod = .milliseconds(50)
            $0.scripts = ["*": ["ignore-term", "ready", "serve"]]
        } _: { server in
            _ = try await server.recorder.ready(1)
            server.supervisor.stop(reason: "SIGTERM")
            let exited = try await server.recorder.exited(1)
            #expect(exited.exit.number == 9)
            #expect(!exited.expected)
            #expect(exited.killedBecause == "it had not ended 50 ms after it was told to stop (--graceful-timeout)")
            _ = try await server.recorder.named("server.stopped")
            #expect(server.recorder.names.contains("crash.reported"))
        }
        #expect(code == 0)
    }

    @Test func askingAgainDoesNotWaitForTheDeadline() async throws {
        try await TestServer.run {
            $0.gracePeriod = .seconds(3600)
            $0.scripts = ["*": ["ignore-term", "ready", "serve"]]
        } _: { server in
            _ = try await server.recorder.ready(1)
            server.supervisor.stop(reason: "SIGTERM")
            _ = try await server.recorder.named("server.stopping")
            server.supervisor.hasten()
            let exited = try await server.recorder.exited(1)
            #expect(exited.exit.number == 9)
            #expect(exited.expected && exited.killedBecause == nil)
        }
    }

    @Test func aCrashWhileStoppingIsStillACrash() async throws {
        try await TestServer.run {
            $0.gracePeriod = .seconds(3600)
            $0.scripts = ["*": ["ignore-term", "ready", "serve"]]
        } _: { server in
            let worker = try await server.recorder.ready(1)
            server.supervisor.stop(reason: "SIGTERM")
            _ = try await server.recorder.named("server.stopping")
            kill(worker.pid, SIGSEGV)
            #expect(!(try await server.recorder.exited(1).expected))
            _ = try await server.recorder.named("server.stopped")
            #expect(server.recorder.names.contains("crash.reported"))
        }
    }

    @Test func whenNoWorkerCanStartTheServerEndsWithTheirCode() async throws {
        let code = try await TestServer.run {
            $0.workers = 2
            $0.scripts = ["*": ["fail 3 The application app:missing cannot be loaded.\nTraceback"]]
        } _: { server in
            guard case .serverStopped(3, let reason, _) = try await server.recorder.named("server.stopped") else {
                Issue.record("\(server.recorder.events)")
                return
            }
            #expect(reason == "The application app:missing cannot be loaded.")
            #expect(server.recorder.names.filter { $0 == "worker.started" }.count == 2)
            let messages = server.recorder.events.compactMap {
                if case .workerExited(let exited) = $0 { exited.message } else { nil }
            }
            #expect(
                messages == [
                    "The application app:missing cannot be loaded.\nTraceback",
                    "The application app:missing cannot be loaded.",
                ])
        }
        #expect(code == 3)
    }

    /// `os._exit(5)` of the application made the server end with 5: cannot listen.
    @Test(arguments: ["signal 11", "exit 5", "exit 0"])
    func aWorkerThatDiesSilentlyBeforeItIsReadyIsAFailedStart(step: String) async throws {
        let code = try await TestServer.run {
            $0.scripts = ["*": [step]]
        } _: { server in
            let exited = try await server.recorder.exited(1)
            #expect(exited.duringStartup && !exited.expected)
            _ = try await server.recorder.named("server.stopped")
        }
        #expect(code == 3)
    }

    @Test func oneWorkerThatCannotStartDoesNotEndTheServerWhenAnotherCan() async throws {
        try await TestServer.run {
            $0.workers = 2
            $0.scripts = ["1.1": ["fail 3 no database"]]
        } _: { server in
            _ = try await server.recorder.exited(1)
            _ = try await server.recorder.ready(2)
            _ = try await server.recorder.ready(1, generation: 2)
        }
    }

    @Test func aWorkerProgramThatIsMissingEndsTheServerWithASentence() async throws {
        let code = try await TestServer.run {
            $0.workerExecutable = "/nonexistent/granite"
        } _: { server in
            guard case .serverStopped(1, let reason, _) = try await server.recorder.named("server.stopped") else {
                return
            }
            #expect(reason == "Cannot start /nonexistent/granite: No such file or directory.")
        }
        #expect(code == 1)
    }
}
