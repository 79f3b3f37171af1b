// Defines what supervisor and collector say to each other over their control socket, one JSON object a message.
// It is separate because both sit on the same floor and neither imports the other.

package import GraniteReport

/// From the supervisor to the collector.
package enum SupervisorMessage: Codable, Sendable, Equatable {
    /// A worker was spawned. Two descriptors come with the message: the crash page, then the collector's end of the memory socket.
    /// Sent again for every live worker when the collector was restarted.
    case watch(Watch)
    /// A worker is dead. The collector makes a report unless the exit was `expected`.
    case exited(Exited)
    /// A replacement was started for the worker that had `crashID`.
    case respawned(Respawned)

    package struct Watch: Codable, Sendable, Equatable {
        package var crashID: String
        package var slot: Int
        package var generation: Int
        package var pid: Int32
        /// True if this collector replaces one that died: what it makes of a capture in progress is marked incomplete.
        package var afterCollectorRestart: Bool
        /// How many new collectors were handed this worker's death, this one included, because the one before ended without a report; 0
        /// while it lives. From 2 on the collector reports what the page says and opens no file: the crash may be what ended the others.
        package var replays: Int
        /// The program's short name, of a process that is no worker; its report has no worker. nil: a worker.
        package var program: String?
        package init(
            crashID: String, slot: Int, generation: Int, pid: Int32, afterCollectorRestart: Bool, replays: Int = 0,
            program: String? = nil
        ) {
            self.crashID = crashID
            self.slot = slot
            self.generation = generation
            self.pid = pid
            self.afterCollectorRestart = afterCollectorRestart
            self.replays = replays
            self.program = program
        }
    }

    package struct Exited: Codable, Sendable, Equatable {
        package var crashID: String
        package var pid: Int32
        /// The status as waitpid(2) gave it.
        package var waitStatus: Int32
        /// True if the supervisor asked the worker to stop, or it ended with code 0 while stopping: no report.
        package var expected: Bool
        /// True if the worker never became ready.
        package var duringStartup: Bool
        package var uptimeSeconds: Double
        package var resources: ResourceUsage
        /// The worker's last lines on stderr, oldest first.
        package var logTail: [String]
        /// How far the cgroup's `oom_kill` counter moved while the worker died; nil if it cannot be read.
        package var oomKills: Int?
        /// What the kernel told of the worker's memory; the trend is in the page.
        package var memory: MemoryInfo?
        /// Why the supervisor itself sent the SIGKILL that ended the worker, a clause: `it was not ready after 60 s (--startup-timeout)`.
        /// nil if it did not.
        package var killedBecause: String?
        /// False if no replacement is started now: the report need not wait for one. nil: not known.
        package var isReplacedNow: Bool?
        /// CLOCK_MONOTONIC when the death was noticed; nil: not known.
        package var noticedNanoseconds: UInt64?
        package init(
            crashID: String, pid: Int32, waitStatus: Int32, expected: Bool, duringStartup: Bool, uptimeSeconds: Double,
            resources: ResourceUsage, logTail: [String], oomKills: Int?, memory: MemoryInfo? = nil,
            killedBecause: String? = nil, isReplacedNow: Bool? = nil, noticedNanoseconds: UInt64? = nil
        ) {
            self.crashID = crashID
            self.pid = pid
            self.waitStatus = waitStatus
            self.expected = expected
            self.duringStartup = duringStartup
            self.uptimeSeconds = uptimeSeconds
            self.resources = resources
            self.logTail = logTail
            self.oomKills = oomKills
            self.memory = memory
            self.killedBecause = killedBecause
            self.isReplacedNow = isReplacedNow
            self.noticedNanoseconds = noticedNanoseconds
        }
    }

    package struct Respawned: Codable, Sendable, Equatable {
        package var crashID: String
        package var pid: Int32
        package var afterMilliseconds: Double
        package init(crashID: String, pid: Int32, afterMilliseconds: Double) {
            self.crashID = crashID
            self.pid = pid
            self.afterMilliseconds = afterMilliseconds
        }
    }
}

/// From the collector to the supervisor.
package enum CollectorMessage: Codable, Sendable, Equatable {
    /// The collector serves.
    case ready
    /// A report is stored. `crashID` is the worker's; a drop site's report has an id of its own in the summary.
    case reported(crashID: String, summary: CrashSummary)
    /// No report could be stored (full disk, unreadable directory). The sentence says why; the summary is whatever is known.
    case failed(crashID: String, reason: String, summary: CrashSummary?)
}
