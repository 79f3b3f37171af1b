// Defines what a server tells about itself, exactly named: the vocabulary of the log. How an event looks as JSON and as a
// sentence is in the two files beside this one.

import GraniteLogging
package import GraniteReport
package import Logging

/// A worker process in an event.
package struct WorkerIdentity: Sendable, Equatable {
    package var slot: Int
    package var pid: Int32
    package var generation: Int

    package init(slot: Int, pid: Int32, generation: Int) {
        self.slot = slot
        self.pid = pid
        self.generation = generation
    }
}

/// Something that happened to a server. The name of each case is in ``name``; names and fields are part of the interface.
package enum ServerEvent: StructuredEvent, Equatable {
    case serverStarted(ServerStarted)
    /// The end was asked for (`reason`: a signal, or a failure in words).
    case serverStopping(reason: String, workers: Int)
    case serverStopped(exitCode: Int32, reason: String?, uptimeSeconds: Double)
    case serverReloading
    case serverReloaded
    case serverReloadFailed(slot: Int)
    case workerStarted(WorkerIdentity)
    case workerReady(WorkerIdentity, startupMilliseconds: Double)
    case workerExited(WorkerExited)
    case workerRespawned(WorkerRespawned)
    /// A request or the event loop takes too long; if it is captured, a `crash.reported` follows.
    case workerHanging(WorkerHanging)
    case workerCrashLoop(slot: Int, failures: Int, backoffSeconds: Double)
    case workerSpawnFailed(slot: Int, reason: String)
    /// A line of the application's stderr; JSON only.
    case workerOutput(WorkerIdentity, line: String)
    case collectorStarted(pid: Int32, restarted: Bool)
    case collectorExited(pid: Int32, exit: ExitStatus, retrySeconds: Double?)
    case collectorUnavailable(reason: String)
    /// A line of the collector's stderr; JSON only.
    case collectorOutput(pid: Int32, line: String)
    /// A report of a worker that lives (drop site), or of a death whose replacement is not there yet, late, or not wanted.
    case crashReported(CrashReported)
    case crashReportFailed(worker: WorkerIdentity?, crashID: String, reason: String)
    /// A mistake that has a report happened again, and was only counted; told about every ten seconds.
    case crashCounted(CrashCounted)
    /// A worker that had grown too large is told to stop: its successor serves.
    case workerRecycled(WorkerRecycled)

    package struct ServerStarted: Sendable, Equatable {
        package var pid: Int32
        package var listeners: [Listener]
        package var workers: Int
        /// nil if reports are off.
        package var crashDirectory: String?
        /// `off`, `short` or `full`.
        package var level: String

        package init(pid: Int32, listeners: [Listener], workers: Int, crashDirectory: String?, level: String) {
            self.pid = pid
            self.listeners = listeners
            self.workers = workers
            self.crashDirectory = crashDirectory
            self.level = level
        }

        package struct Listener: Sendable, Equatable {
            /// `http://127.0.0.1:8000`.
            package var url: String
            package var port: UInt16

            package init(url: String, port: UInt16) {
                self.url = url
                self.port = port
            }
        }
    }

    package struct WorkerExited: Sendable, Equatable {
        package var worker: WorkerIdentity
        package var exit: ExitStatus
        package var uptimeSeconds: Double
        package var requests: UInt64
        /// The id of the report that is being made; nil if none will be.
        package var crashID: String?
        package var expected: Bool
        /// It never became ready.
        package var duringStartup: Bool
        /// Why it could not start, if it said so; of an orderly stop, who asked for it if the supervisor did not.
        package var message: String?
        /// The cgroup's `oom_kill` counter moved by so much meanwhile; nil if it cannot be read.
        package var oomKills: Int?
        /// The kernel's log says that its OOM killer killed this process.
        package var wasOOMKilled: Bool
        /// Why the supervisor killed it, a clause; nil if it did not.
        package var killedBecause: String?
        /// What it was serving, by its page.
        package var requestsInFlight: [RequestInfo]
        /// The most resident memory it ever had; 0 if not known.
        package var maxRSSBytes: UInt64
        /// What its cgroup allows; nil without a limit.
        package var memoryLimitBytes: UInt64?
        /// The mistakes that it lived on after, reported or counted.
        package var survived: Int

        package init(
            worker: WorkerIdentity, exit: ExitStatus, uptimeSeconds: Double, requests: UInt64, crashID: String? = nil,
            expected: Bool, duringStartup: Bool = false, message: String? = nil, oomKills: Int? = nil,
            wasOOMKilled: Bool = false, killedBecause: String? = nil, requestsInFlight: [RequestInfo] = [],
            maxRSSBytes: UInt64 = 0, memoryLimitBytes: UInt64? = nil, survived: Int = 0
        ) {
            self.worker = worker
            self.exit = exit
            self.uptimeSeconds = uptimeSeconds
            self.requests = requests
            self.crashID = crashID
            self.expected = expected
            self.duringStartup = duringStartup
            self.message = message
            self.oomKills = oomKills
            self.wasOOMKilled = wasOOMKilled
            self.killedBecause = killedBecause
            self.requestsInFlight = requestsInFlight
            self.maxRSSBytes = maxRSSBytes
            self.memoryLimitBytes = memoryLimitBytes
            self.survived = survived
        }
    }

    package struct WorkerRespawned: Sendable, Equatable {
        package var worker: WorkerIdentity
        /// From the death being noticed to the replacement being started.
        package var respawnMilliseconds: Double
        package var previous: Previous
        /// The id alone if there is no report (yet).
        package var crash: Crash?
        /// `crash.reported` has told the whole story already.
        package var alreadyReported = false

        package init(
            worker: WorkerIdentity, respawnMilliseconds: Double, previous: Previous, crash: Crash?,
            alreadyReported: Bool = false
        ) {
            self.worker = worker
            self.respawnMilliseconds = respawnMilliseconds
            self.previous = previous
            self.crash = crash
            self.alreadyReported = alreadyReported
        }

        package struct Previous: Sendable, Equatable {
            package var pid: Int32
            package var uptimeSeconds: Double
            package var requests: UInt64
            package var exit: ExitStatus

            package init(pid: Int32, uptimeSeconds: Double, requests: UInt64, exit: ExitStatus) {
                self.pid = pid
                self.uptimeSeconds = uptimeSeconds
                self.requests = requests
                self.exit = exit
            }
        }
    }

    package struct WorkerHanging: Sendable, Equatable {
        package var worker: WorkerIdentity
        /// The option whose time is over: `request_timeout`, `request_kill_timeout`, `stall_timeout`.
        package var cause: String
        /// How long it has taken.
        package var seconds: Double
        /// The request that takes so long; of a stalled loop the oldest in flight.
        package var request: RequestInfo?
        /// A report is made; not of more than five in a row, and not without a collector.
        package var isCaptured: Bool
        /// The worker is killed.
        package var isKilled: Bool

        package init(
            worker: WorkerIdentity, cause: String, seconds: Double, request: RequestInfo?, isCaptured: Bool,
            isKilled: Bool
        ) {
            self.worker = worker
            self.cause = cause
            self.seconds = seconds
            self.request = request
            self.isCaptured = isCaptured
            self.isKilled = isKilled
        }
    }

    package struct CrashReported: Sendable, Equatable {
        /// nil if the worker stopped long ago.
        package var worker: WorkerIdentity?
        /// Whether the worker lives on.
        package var alive: Bool
        package var summary: CrashSummary

        package init(worker: WorkerIdentity?, alive: Bool, summary: CrashSummary) {
            self.worker = worker
            self.alive = alive
            self.summary = summary
        }
    }

    package struct CrashCounted: Sendable, Equatable {
        package var worker: WorkerIdentity
        /// As in the report: `drop_site`, `unraisable`, …
        package var kind: String
        package var subject: String
        package var message: String
        /// How many came since this was told last.
        package var count: Int
        /// How many this worker has had.
        package var total: Int

        package init(worker: WorkerIdentity, kind: String, subject: String, message: String, count: Int, total: Int) {
            self.worker = worker
            self.kind = kind
            self.subject = subject
            self.message = message
            self.count = count
            self.total = total
        }
    }

    package struct WorkerRecycled: Sendable, Equatable {
        package var worker: WorkerIdentity
        package var rssBytes: UInt64
        package var limitBytes: UInt64
        /// Of the report that says what grew; nil if there is none (yet).
        package var crashID: String?

        package init(worker: WorkerIdentity, rssBytes: UInt64, limitBytes: UInt64, crashID: String?) {
            self.worker = worker
            self.rssBytes = rssBytes
            self.limitBytes = limitBytes
            self.crashID = crashID
        }
    }

    /// What is known of a report.
    package enum Crash: Sendable, Equatable {
        case reported(CrashSummary)
        case pending(id: String)

        package var id: String {
            switch self {
            case .reported(let summary): summary.id
            case .pending(let id): id
            }
        }
    }

    package var name: String {
        switch self {
        case .serverStarted: "server.started"
        case .serverStopping: "server.stopping"
        case .serverStopped: "server.stopped"
        case .serverReloading: "server.reloading"
        case .serverReloaded: "server.reloaded"
        case .serverReloadFailed: "server.reload_failed"
        case .workerStarted: "worker.started"
        case .workerReady: "worker.ready"
        case .workerExited: "worker.exited"
        case .workerRespawned: "worker.respawned"
        case .workerHanging: "worker.hanging"
        case .workerCrashLoop: "worker.crash_loop"
        case .workerSpawnFailed: "worker.spawn_failed"
        case .workerOutput: "worker.output"
        case .collectorStarted: "collector.started"
        case .collectorExited: "collector.exited"
        case .collectorUnavailable: "collector.unavailable"
        case .collectorOutput: "collector.output"
        case .crashReported: "crash.reported"
        case .crashReportFailed: "crash.report_failed"
        case .crashCounted: "crash.counted"
        case .workerRecycled: "worker.recycled"
        }
    }

    /// A crash is one error line; what follows from it and mends itself is a warning.
    package var level: Logger.Level {
        switch self {
        case .serverStarted, .serverStopping, .serverReloading, .serverReloaded, .workerStarted, .workerReady,
            .workerOutput,
            .collectorStarted, .collectorOutput:
            .info
        case .serverStopped(let exitCode, _, _): exitCode == 0 ? .info : .error
        case .workerExited(let exited): exited.expected ? (exited.message == nil ? .info : .warning) : .error
        case .workerRespawned, .workerHanging, .workerCrashLoop, .collectorUnavailable, .crashReported, .crashCounted,
            .workerRecycled:
            .warning
        case .collectorExited(_, let exit, let retry): retry == nil && exit.code == 0 ? .info : .warning
        case .serverReloadFailed, .workerSpawnFailed, .crashReportFailed: .error
        }
    }
}
