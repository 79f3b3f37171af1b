// What is concluded of a SIGKILL from what the kernel's counters and log say; each combination is one fact sheet.

import GraniteCrashChannel
import GraniteReport
import Testing

@testable import GraniteCollector

/// Counters and log as they may be found, and what follows.
struct KilledWorker: Sendable, CustomTestStringConvertible {
    /// The cgroup's counter, the machine's; nil: cannot be read.
    var own: Int?
    var system: Int?
    var logRead = false
    var record: OOMKillRecord?
    var kind: CrashReport.Kind
    var category: String
    var confidence: String

    var testDescription: String {
        "own \(own.map(String.init) ?? "-"), system \(system.map(String.init) ?? "-"), log \(record != nil ? "names it" : logRead ? "read" : "-")"
    }

    static var record: OOMKillRecord {
        var record = OOMKillRecord()
        record.pid = 4711
        record.text = "Memory cgroup out of memory: Killed process 4711 (granite)"
        record.wholeSystem = false
        record.anonymousBytes = 240 << 20
        return record
    }
}

struct EndingRuleTests {
    @Test(arguments: [
        KilledWorker(
            own: 1, system: 1, logRead: true, record: KilledWorker.record, kind: .oomKill, category: "out_of_memory",
            confidence: "certain"),
        KilledWorker(
            own: nil, system: nil, logRead: true, record: KilledWorker.record, kind: .oomKill,
            category: "out_of_memory", confidence: "certain"),
        KilledWorker(own: 1, system: 1, kind: .oomKill, category: "out_of_memory", confidence: "likely"),
        KilledWorker(own: 2, system: nil, kind: .oomKill, category: "out_of_memory", confidence: "likely"),
        // The log names every victim: it was another process of the cgroup.
        KilledWorker(
            own: 1, system: 1, logRead: true, kind: .signal, category: "killed_by_process", confidence: "certain"),
        KilledWorker(own: 0, system: 0, kind: .signal, category: "killed_by_process", confidence: "certain"),
        KilledWorker(own: 0, system: nil, kind: .signal, category: "killed_by_process", confidence: "likely"),
        // A victim in another cgroup; ours did not count it.
        KilledWorker(own: 0, system: 1, kind: .signal, category: "killed_by_process", confidence: "likely"),
        KilledWorker(own: nil, system: 0, kind: .signal, category: "killed_by_process", confidence: "certain"),
        KilledWorker(own: nil, system: 1, kind: .signal, category: "out_of_memory", confidence: "possible"),
        KilledWorker(own: nil, system: nil, kind: .signal, category: "killed_by_process", confidence: "possible"),
    ])
    func aSigkillIsJudgedByWhatTheKernelSays(worker: KilledWorker) {
        var memory = MemoryInfo()
        memory.systemOOMKills = worker.system
        memory.kernelLogRead = worker.logRead
        memory.oomKill = worker.record
        let exited = Self.exited(oomKills: worker.own, memory: memory)
        let status = ExitStatus(waitStatus: 9)
        let kind: CrashReport.Kind = OutOfMemoryRule.isOOMKill(status, exited) ? .oomKill : .signal
        #expect(kind == worker.kind)
        var facts = CrashFacts(kind: kind, pid: 4711)
        facts.exit = status
        facts.oomKills = worker.own
        facts.memory = memory
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == worker.category)
        #expect(verdict.diagnosis.confidence == worker.confidence)
        #expect(verdict.reason.hasSuffix("."))
    }

    @Test func aProgramIsKilledByNobodyInParticular() {
        var facts = CrashFacts(kind: .signal, pid: 4711)
        facts.program = "shop"
        facts.exit = ExitStatus(waitStatus: 9)
        #expect(
            Diagnostician.diagnose(facts).reason
                == "The process was killed with SIGKILL, by somebody or by the OOM killer; nothing that can be read here tells which."
        )
        facts.oomKills = 0
        #expect(
            Diagnostician.diagnose(facts).reason
                == "The process was killed with SIGKILL, not by the OOM killer; the kernel does not tell by whom.")
    }

    @Test func whatTheSupervisorKilledIsItsOwnWhateverTheCountersSay() {
        let exited = Self.exited(
            oomKills: 1, memory: nil, killedBecause: "it was not ready after 60 s (--startup-timeout)")
        #expect(!OutOfMemoryRule.isOOMKill(ExitStatus(waitStatus: 9), exited))
        var facts = CrashFacts(kind: .signal, pid: 4711)
        facts.exit = ExitStatus(waitStatus: 9)
        facts.killedBecause = "it hung for 30 s"
        facts.requestsInFlight = 2
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == "killed_by_supervisor")
        #expect(verdict.reason == "The supervisor killed the worker: it hung for 30 s while it served 2 requests.")
    }

    @Test func theReasonOfAnOOMKillNamesTheLimitAndTheGrowth() {
        var memory = MemoryInfo()
        memory.oomKill = KilledWorker.record
        memory.cgroup = CgroupMemory()
        memory.cgroup?.limitBytes = 256 << 20
        memory.trend = [
            .init(ageSeconds: 90, rssBytes: 48 << 20), .init(ageSeconds: 4, rssBytes: 48 << 20),
            .init(ageSeconds: 1, rssBytes: 180 << 20),
        ]
        var facts = CrashFacts(kind: .oomKill, pid: 4711)
        facts.exit = ExitStatus(waitStatus: 9)
        facts.memory = memory
        facts.maxRSSBytes = 243 << 20
        facts.requestsInFlight = 1
        #expect(
            Diagnostician.diagnose(facts).reason
                == "The kernel killed the worker because its cgroup was at its memory limit of 256 MiB; it had grown from 48 MiB to 243 MiB in 4 s while it served a request."
        )
    }

    /// With respawn off a finished report waited a second for a replacement that nobody would start.
    @Test(.timeLimit(.minutes(1)))
    func aReportDoesNotWaitForAReplacementThatWillNotCome() {
        let mailbox = EndingMailbox()
        var exited = Self.exited(oomKills: nil, memory: nil)
        exited.isReplacedNow = false
        mailbox.post(exited)
        #expect(mailbox.wait(until: .max / 2) == Ending(exited: exited, respawned: nil))
    }

    private static func exited(oomKills: Int?, memory: MemoryInfo?, killedBecause: String? = nil)
        -> SupervisorMessage.Exited
    {
        .init(
            crashID: "A", pid: 4711, waitStatus: 9, expected: false, duringStartup: false, uptimeSeconds: 1,
            resources: .init(), logTail: [], oomKills: oomKills, memory: memory, killedBecause: killedBecause)
    }
}
