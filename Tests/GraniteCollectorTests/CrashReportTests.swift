// Real crashes, through a real collector, to stored reports.

import Foundation
import GraniteReport
import Testing

@Suite(.timeLimit(.minutes(3))) struct CrashReportTests {
    /// What every report has; what is particular to each crash is in the matrix (CrashMatrixTests).
    @Test func reportNamesWorkerRegistersAndItself() async throws {
        let (report, summary) = try await FakeSupervisor.report(of: "null-read")
        #expect(report.kind == .signal)
        #expect(report.threads?.first?.registers?.map(\.name).last == "rip")
        #expect(report.process?.exit?.signal == report.signal?.name)
        #expect(report.worker?.respawnedAs == 4790)
        #expect(report.fingerprint?.hash == summary.fingerprint)
        #expect(summary.complete, "\(report.capture?.errors ?? [])")
        #expect(summary.report?.hasSuffix("/\(report.id).json") == true)
    }

    @Test func swiftFatalErrorCarriesItsMessageFromTheLog() async throws {
        let (report, _) = try await FakeSupervisor.report(
            of: "fatal-error", logTail: ["CrashProbe/SwiftCases.swift:27: Fatal error: the probe was asked to fail"])
        #expect(report.diagnosis?.category == "swift_trap")
        #expect(report.reason?.contains("static SwiftCases.failFatally()") == true, "\(report.reason ?? "")")
        #expect(report.reason?.contains("Fatal error: the probe was asked to fail") == true, "\(report.reason ?? "")")
    }

    @Test func signalOfAnotherProcessNamesTheSender() async throws {
        let (report, _) = try await FakeSupervisor.report(of: "kill-segv-from-child")
        #expect(report.diagnosis?.category == "killed_by_process")
        let sender = try #require(report.signal?.sender)
        #expect(report.reason == "Process \(sender.pid) of user \(sender.uid) sent SIGSEGV to the worker.")
    }

    @Test func requestOfTheCrashedThreadIsInTheReport() async throws {
        let (report, summary) = try await FakeSupervisor.report(of: "requests")
        #expect(report.request?.method == "GET")
        #expect(report.request?.target == "/crash/null?from=probe")
        #expect(report.requests?.count == 1)
        #expect(summary.request == report.request)
        #expect(report.breadcrumbs?.map(\.message) == ["about to run requests"])
    }

    @Test func exitWithoutCaptureIsReportedFromPageAndStatus() async throws {
        let (report, summary) = try await FakeSupervisor.report(of: "exit-7")
        #expect(report.kind == .exit)
        #expect(report.process?.exit?.code == 7)
        #expect(report.reason == "The worker exited with code 7 without being asked to stop.")
        #expect(report.process?.resources?.systemSeconds == 0.5)
        #expect(summary.complete)
    }

    @Test func sigkillIsToldApartFromTheOOMKiller() async throws {
        let killed = try await FakeSupervisor.report(of: "kill-self").report
        #expect(killed.kind == .signal)
        #expect(killed.diagnosis?.category == "killed_by_process")
        let starved = try await FakeSupervisor.report(of: "kill-self", oomKills: 1).report
        #expect(starved.kind == .oomKill)
        #expect(starved.diagnosis?.category == "out_of_memory")
    }

    @Test func failedStartNamesTheException() async throws {
        let log = [
            "Traceback (most recent call last):", "  File \"app.py\", line 1, in <module>",
            "ModuleNotFoundError: No module named 'flask'",
        ]
        let report = try await FakeSupervisor.report(of: "exit-7", logTail: log, duringStartup: true).report
        #expect(report.kind == .startup)
        #expect(
            report.reason
                == "The worker exited with code 7 before it was ready: ModuleNotFoundError: No module named 'flask'.")
        #expect(report.logTail == log)
    }

    @Test func levelShortHoldsTheCrashedThreadAloneAndSaysSo() async throws {
        let report = try await FakeSupervisor.report(of: "threads-3", level: "short").report
        #expect(report.threads?.count == 1)
        #expect(report.capture?.level == "short")
        #expect(
            report.capture?.errors == [
                "3 other threads are left out at level short; GRANITE_BACKTRACE=full shows them."
            ])
        #expect(report.capture?.incomplete == false)
    }

    @Test func secondFaultStillGivesTheInterruptedFunction() async throws {
        let (report, summary) = try await FakeSupervisor.report(of: "second-fault")
        #expect(report.threads?.first?.frames?.first?.symbol == "granite_probe_null_read")
        #expect(!summary.complete)
        #expect(report.capture?.errors?.contains { $0.contains("The handler itself met SIGSEGV") } == true)
    }

    @Test func droppedValueIsReportedWhileTheWorkerGoesOn() async throws {
        let (report, status) = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("thread-bound-drop")
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            let report = try supervisor.receiveReport().report
            return (report, try supervisor.reap(worker, expected: true))
        }
        #expect(status == 0)
        #expect(report.kind == .dropSite)
        #expect(report.diagnosis?.category == "thread_affinity")
        #expect(report.dropSite?.subject == "the probe's list")
        let names = (report.threads?.first?.frames ?? []).compactMap(\.symbol)
        #expect(names.first?.contains("ThreadBound.deinit") == true, "\(names)")
        #expect(names.contains { $0.contains("releaseElsewhere") }, "\(names)")
        #expect(report.dropSite?.creationFrames?.contains { $0.symbol?.contains("createValue") == true } == true)
    }

    @Test func usedValueIsNotSaidToBeReleased() async throws {
        let report = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let worker = try supervisor.spawnWorker("thread-bound-use")
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            let report = try supervisor.receiveReport().report
            try supervisor.reap(worker, expected: true)
            return report
        }
        let reason = try #require(report.reason)
        #expect(reason.hasPrefix("the probe's list was used on thread \"CrashProbe\""), "\(reason)")
        #expect(!reason.contains("released"), "\(reason)")
        #expect(report.diagnosis?.evidence.contains { $0.contains("released") } == false)
    }
}
