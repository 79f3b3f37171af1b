import Foundation
import GraniteCrashChannel
import GraniteReport
import GraniteSupervisor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct CollectorRestartTests {
    @Test func aKilledCollectorIsRestartedAndToldOfLiveAndUnreportedWorkersAgain() async throws {
        try await TestServer.run {
            $0.workers = 2
            $0.collector = "silent"
        } _: { server in
            let first = try await server.recorder.ready(1)
            let second = try await server.recorder.ready(2)
            guard case .collectorStarted(let pid, false) = try await server.recorder.named("collector.started") else {
                return
            }
            kill(first.pid, SIGSEGV)
            let replacement = try await server.recorder.ready(1, generation: 2)
            #expect(try await Command.eventually { try server.collectorHeard().count == 5 })
            kill(pid, SIGKILL)
            _ = await server.recorder.first { if case .collectorStarted(_, restarted: true) = $0 { true } else { nil } }
            #expect(try await Command.eventually { try server.collectorHeard().count == 10 })

            let heard = try server.collectorHeard().dropFirst(5)
            var watched: [Int32] = []
            for (message, descriptors) in heard {
                guard case .watch(let watch) = message else { continue }
                #expect(watch.afterCollectorRestart)
                #expect(descriptors == 2)
                watched.append(watch.pid)
            }
            #expect(Set(watched) == [first.pid, second.pid, replacement.pid])
            let exits = heard.compactMap { if case .exited(let exited) = $0.message { exited.pid } else { nil } }
            #expect(exits == [first.pid])
            #expect(
                heard.contains {
                    if case .respawned(let respawned) = $0.message { respawned.pid == replacement.pid } else { false }
                })
            #expect(exists(second.pid) && exists(replacement.pid))
            server.supervisor.stop(reason: "done")
            server.supervisor.hasten()
        }
    }

    @Test func aCollectorThatCannotRunBacksOffAndTheServerServes() async throws {
        try await TestServer.run {
            $0.collector = "exits"
        } _: { server in
            let worker = try await server.recorder.ready(1)
            let waits = await server.recorder.first {
                if case .collectorExited(_, let exit, let retry?) = $0, exit.code == 4, retry > 0 { retry } else { nil }
            }
            #expect(waits == 0.5)
            #expect(try server.askForPid() == worker.pid)
        }
    }
}
