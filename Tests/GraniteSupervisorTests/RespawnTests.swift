import Foundation
import GraniteCrashChannel
import GraniteLogging
import GraniteReport
import GraniteSupervisor
import TestSupport
import Testing

/// Real processes: a worker dies, and what the supervisor does and says about it.
@Suite(.timeLimit(.minutes(1)))
struct RespawnTests {
    enum Death: Sendable, CaseIterable, CustomTestStringConvertible {
        case segmentationFault, kill, exit

        var step: String { self == .exit ? "exit 7" : "" }
        var signal: Int32? {
            switch self {
            case .segmentationFault: SIGSEGV
            case .kill: SIGKILL
            case .exit: nil
            }
        }
        var testDescription: String { "\(self)" }
    }

    @Test(arguments: Death.allCases) func aDeadWorkerIsReplacedAndToldApart(_ death: Death) async throws {
        try await TestServer.run {
            $0.scripts = ["1.1": ["requests 18204", "ready"] + (death == .exit ? ["exit 7"] : ["serve"])]
        } _: { server in
            let first = try await server.recorder.ready(1)
            if let signal = death.signal { kill(first.pid, signal) }

            let exited = try await server.recorder.exited(1)
            #expect(exited.worker == first)
            #expect(exited.requests == 18204)
            #expect(!exited.expected && !exited.duringStartup)
            #expect(ULID.isValid(exited.crashID ?? ""))
            #expect(exited.exit.number.map(Int32.init) == death.signal)
            #expect(exited.exit.code == (death == .exit ? 7 : nil))

            let respawned = try await server.recorder.respawned(1)
            #expect(respawned.previous.pid == first.pid)
            #expect(respawned.previous.exit == exited.exit)
            let second = try await server.recorder.ready(1, generation: 2)
            #expect(respawned.worker == second)
            #expect(try server.askForPid() == second.pid)
            guard case .reported(let summary)? = respawned.crash else {
                Issue.record("no report in \(respawned)")
                return
            }
            #expect(summary.id == exited.crashID)
            #expect(summary.reason == "strlen read address 0x0 in slot 1")
            #expect(!exists(first.pid))
        }
    }

    @Test func theReplacementIsStartedBeforeTheDeathIsDescribed() async throws {
        try await TestServer.run { server in
            kill(try await server.recorder.ready(1).pid, SIGSEGV)
            _ = try await server.recorder.respawned(1)
            let names = server.recorder.names.filter { $0.hasPrefix("worker") && $0 != "worker.ready" }
            #expect(names == ["worker.started", "worker.exited", "worker.started", "worker.respawned"])
            _ = try await server.recorder.ready(1, generation: 2)
        }
    }

    @Test func theCollectorHearsOfWatchThenExitThenReplacement() async throws {
        try await TestServer.run {
            $0.scripts = ["1.1": ["stderr first", "stderr last words", "ready", "exit 7"]]
        } _: { server in
            _ = try await server.recorder.respawned(1)
            let crashID = try await server.recorder.exited(1).crashID
            #expect(try await Command.eventually { try server.collectorHeard().count >= 4 })
            let heard = try server.collectorHeard()
            let own = heard.filter { heard in
                switch heard.message {
                case .watch(let watch): watch.crashID == crashID
                case .exited(let exited): exited.crashID == crashID
                case .respawned(let respawned): respawned.crashID == crashID
                }
            }
            #expect(own.map(\.descriptors) == [2, 0, 0])
            guard case .watch(let watch) = own[0].message, case .exited(let exited) = own[1].message,
                case .respawned(let respawned) = own[2].message
            else {
                Issue.record("\(own)")
                return
            }
            #expect(watch.slot == 1 && watch.generation == 1 && !watch.afterCollectorRestart)
            #expect(exited.waitStatus == 7 << 8)
            #expect(exited.logTail == ["first", "last words"])
            #expect(exited.resources.maxRSSBytes > 0)
            #expect(respawned.pid == (try await server.recorder.started(1, generation: 2).pid))
        }
    }

    @Test func aCrashLoopBacksOffAndLeavesTheOtherWorkersAlone() async throws {
        try await TestServer.run {
            $0.workers = 2
            $0.limits.interval = .seconds(3600)
            $0.scripts = ["2": ["ready", "signal 11"]]
        } _: { server in
            let steady = try await server.recorder.ready(1)
            let loop = await server.recorder.first {
                if case .workerCrashLoop(let slot, let failures, let backoff) = $0, failures == 4 {
                    (slot, backoff)
                } else {
                    nil
                }
            }
            #expect(loop?.0 == 2)
            #expect(loop?.1 == 0.04)
            #expect(
                !server.recorder.events.contains {
                    if case .workerExited(let exited) = $0 { exited.worker.slot == 1 } else { false }
                })
            #expect(exists(steady.pid))
        }
    }

    @Test func withoutRespawnTheServerEndsWithItsLastWorker() async throws {
        let code = try await TestServer.run {
            $0.workers = 2
            $0.respawns = false
        } _: { server in
            let workers = [try await server.recorder.ready(1), try await server.recorder.ready(2)]
            kill(workers[0].pid, SIGKILL)
            _ = try await server.recorder.exited(1)
            #expect(try server.askForPid() == workers[1].pid)
            kill(workers[1].pid, SIGSEGV)
            _ = try await server.recorder.named("server.stopped")
            #expect(server.recorder.names.filter { $0 == "crash.reported" }.count == 2)
        }
        #expect(code == 1)
    }

    @Test func aWorkerThatEndsOrderlyOfItsOwnWillIsReplacedWithoutACrash() async throws {
        try await TestServer.run { server in
            kill(try await server.recorder.ready(1).pid, SIGTERM)
            let respawned = try await server.recorder.respawned(1)
            #expect(respawned.crash == nil)
            #expect(try await server.recorder.exited(1).expected)
        }
    }

    @Test func fiftyDeathsLeaveNoZombieAndNoDescriptor() async throws {
        try await TestServer.run { server in
            var worker = try await server.recorder.ready(1)
            var pids: [Int32] = []
            var before = 0
            for generation in 2...51 {
                pids.append(worker.pid)
                kill(worker.pid, SIGKILL)
                worker = try await server.recorder.ready(1, generation: generation)
                _ = try await server.recorder.respawned(1, generation: generation)
                if generation == 5 { before = try openDescriptors() }
            }
            // Other tests of this process open descriptors too: a leak of one for each death would show all the same.
            #expect(try await Command.eventually { try openDescriptors() < before + 40 })
            #expect(pids.filter(exists) == [])
        }
    }

    @Test func aLateOrMissingCollectorDoesNotHoldUpTheEvents() async throws {
        try await TestServer.run {
            $0.collectorExecutable = "/nonexistent/granite-crash"
        } _: { server in
            kill(try await server.recorder.ready(1).pid, SIGSEGV)
            let respawned = try await server.recorder.respawned(1)
            #expect(respawned.crash == nil)
            #expect(try await server.recorder.exited(1).crashID == nil)
            #expect(server.recorder.names.filter { $0 == "collector.unavailable" }.count == 1)
        }
    }

    @Test func withLevelOffThereIsNoCollector() async throws {
        try await TestServer.run {
            $0.level = .off
        } _: { server in
            kill(try await server.recorder.ready(1).pid, SIGSEGV)
            #expect(try await server.recorder.respawned(1).crash == nil)
            #expect(!server.recorder.names.contains { $0.hasPrefix("collector") })
        }
    }

    @Test func aReportThatFailsIsToldAndTheIdStays() async throws {
        try await TestServer.run {
            $0.collector = "fails"
        } _: { server in
            kill(try await server.recorder.ready(1).pid, SIGSEGV)
            let respawned = try await server.recorder.respawned(1)
            let crashID = try #require(try await server.recorder.exited(1).crashID)
            #expect(respawned.crash == .pending(id: crashID))
            guard
                case .crashReportFailed(_, crashID, "no space left") = try await server.recorder.named(
                    "crash.report_failed")
            else {
                Issue.record("\(server.recorder.events)")
                return
            }
        }
    }

    @Test func aDropSiteIsReportedWhileTheWorkerLives() async throws {
        try await TestServer.run {
            $0.collector = "drop-site"
        } _: { server in
            let worker = try await server.recorder.ready(1)
            guard case .crashReported(let reported) = try await server.recorder.named("crash.reported") else { return }
            #expect(reported.worker == worker)
            #expect(reported.alive)
            #expect(reported.summary.id == "01DROPSITE")
        }
    }

    @Test func aReportThatComesBeforeTheDeathIsAttachedToIt() async throws {
        try await TestServer.run {
            $0.collector = "early"
        } _: { server in
            let worker = try await server.recorder.ready(1)
            kill(worker.pid, SIGSEGV)
            let respawned = try await server.recorder.respawned(1)
            guard case .reported(let summary)? = respawned.crash else {
                Issue.record("\(respawned)")
                return
            }
            #expect(summary.id == (try await server.recorder.exited(1).crashID))
        }
    }
}
