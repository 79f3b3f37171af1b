import Foundation
import GraniteReport
import GraniteSupervisor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ReloadTests {
    @Test func eachNewWorkerIsReadyBeforeItsOldOneStops() async throws {
        try await TestServer.run {
            $0.workers = 2
        } _: { server in
            _ = try await server.recorder.ready(1)
            _ = try await server.recorder.ready(2)
            server.supervisor.reload()
            _ = try await server.recorder.named("server.reloaded")
            let story = server.recorder.events.compactMap { event -> String? in
                switch event {
                case .workerStarted(let worker) where worker.generation == 2: "started \(worker.slot)"
                case .workerReady(let worker, _) where worker.generation == 2: "ready \(worker.slot)"
                case .workerExited(let exited): "exited \(exited.worker.slot) \(exited.expected)"
                default: nil
                }
            }
            #expect(story == ["started 1", "ready 1", "exited 1 true", "started 2", "ready 2", "exited 2 true"])
            #expect(!server.recorder.names.contains("worker.respawned"))
        }
    }

    @Test func aFailingReloadKeepsTheOldWorkers() async throws {
        try await TestServer.run {
            $0.workers = 2
            $0.scripts = ["1.2": ["fail 3 syntax error"]]
        } _: { server in
            let old = try await server.recorder.ready(1)
            _ = try await server.recorder.ready(2)
            server.supervisor.reload()
            #expect(try await server.recorder.named("server.reload_failed") == .serverReloadFailed(slot: 1))
            #expect(try await server.recorder.exited(1, generation: 2).message == "syntax error")
            #expect(exists(old.pid))
            #expect(
                !server.recorder.events.contains {
                    if case .workerStarted(let worker) = $0 {
                        worker.slot == 2 && worker.generation == 2
                    } else {
                        false
                    }
                })
        }
    }

    @Test func aNewWorkerThatHangsIsGivenUpAndTheNextReloadSucceeds() async throws {
        try await TestServer.run {
            $0.startupTimeout = .seconds(2)
            $0.scripts = ["1.2": ["serve"]]
        } _: { server in
            let old = try await server.recorder.ready(1)
            server.supervisor.reload()
            #expect(try await server.recorder.named("server.reload_failed") == .serverReloadFailed(slot: 1))
            let exited = try await server.recorder.exited(1, generation: 2)
            #expect(exited.exit.number == 9 && exited.duringStartup && !exited.expected)
            #expect(exited.message == "the application was not loaded after 2 s; --startup-timeout gives it longer")
            #expect(exists(old.pid))
            server.supervisor.reload()
            _ = try await server.recorder.named("server.reloaded")
        }
    }

    @Test func theNewWorkerTakesThePlaceOfAnOldOneThatDiesMeanwhile() async throws {
        try await TestServer.run {
            $0.scripts = ["1.2": ["serve"]]
        } _: { server in
            let old = try await server.recorder.ready(1)
            server.supervisor.reload()
            let new = try await server.recorder.started(1, generation: 2)
            kill(old.pid, SIGSEGV)
            let respawned = try await server.recorder.respawned(1)
            #expect(respawned.worker == new)
            #expect(respawned.previous.pid == old.pid)
        }
    }
}
