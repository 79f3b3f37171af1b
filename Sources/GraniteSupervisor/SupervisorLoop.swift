// The supervisor's one thread: waits for deaths, messages and commands, asks the pure policies what to do, and does it.
// All mutable state of a server lives here, so nothing needs a lock.

import Glibc
import GraniteCrashChannel
import GraniteLinux
import GraniteLogging
import GraniteReport
import Logging

/// Drives one server from its start to its end. Made, run and dropped on the supervisor's thread.
final class SupervisorLoop {
    /// How the end of the server proceeds, once no worker is left.
    enum Phase {
        case running
        /// Reports of the last deaths are awaited.
        case settling(until: ContinuousClock.Instant)
        /// The collector was told that this is all.
        case closing(until: ContinuousClock.Instant)
        /// It was killed, its death is awaited.
        case killing
        case ended
    }

    let configuration: SupervisorConfiguration
    let log: EventLog
    let output: LogOutput
    let mailbox: Mailbox
    let poller: Poller
    let started = ContinuousClock.now

    var fleet: Fleet
    var ledger = DeathLedger()
    var occasions = OccasionLedger()
    /// When the workers' counts are looked at again; nil while nobody serves.
    var nextCount: ContinuousClock.Instant?
    var workers: [WorkerID: WorkerProcess] = [:]
    var oomWitness = OOMWitness()
    /// Reports that came before the death was noticed, by crash id.
    var earlyReports: [String: CollectorMessage] = [:]
    /// The stderr of dead workers whose children still hold it open.
    var orphans: [Int: (identity: WorkerIdentity, relay: OutputRelay, token: Poller.Token?)] = [:]
    var nextOrphan = 0
    static let maxOrphans = 256
    /// Workers that were started before the log was reopened and have not been told.
    var staleLogs: Set<WorkerID> = []
    /// The failure that was told last.
    var lastFailure: String?
    private(set) lazy var collector = makeCollector()
    private(set) lazy var live = LiveWatch(limits: configuration.hangLimits)
    /// Who is connected to the control socket.
    var dialogues: [Int32: Poller.Token] = [:]
    static let maxDialogues = 64
    let controlName = ULID.make()
    var control: Descriptor?
    var controlToken: Poller.Token?
    /// Until then nobody is accepted: there were no descriptors.
    var controlPause: ContinuousClock.Instant?

    private var heldBack: [() -> Void]?
    private var phase = Phase.running
    private(set) var outcome = Fleet.Outcome.stopped
    private var stopReason: String?
    /// The operator has asked twice: reports in the making are not waited for.
    private var isHasty = false

    init(configuration: SupervisorConfiguration, log: EventLog, output: LogOutput, mailbox: Mailbox)
        throws(SupervisorError)
    {
        self.configuration = configuration
        self.log = log
        self.output = output
        self.mailbox = mailbox
        fleet = Fleet(rules: configuration.rules)
        poller = try Poller()
        _ = try poller.add(mailbox.descriptor) { [unowned self] in obeyCommands() }
    }

    /// Runs the server to its end and returns the exit code.
    func run() -> Int32 {
        record(
            .serverStarted(
                .init(
                    pid: getpid(), listeners: configuration.listeners.map { .init(url: $0.url, port: $0.port) },
                    workers: configuration.rules.workers,
                    crashDirectory: configuration.level == .off ? nil : configuration.crashDirectory,
                    level: configuration.level.rawValue)))
        openControlSocket()
        defer { closeControlSocket() }
        collector.start()
        perform(fleet.start(now: .now))
        while true {
            advancePhase()
            if case .ended = phase { break }
            poller.wait(until: deadline)
            let now = ContinuousClock.now
            perform(fleet.tick(now: now))
            for event in ledger.tick(now: now) { record(event) }
            collector.tick(now: now)
            watchForHangs(now: now)
            countOccasions(now: now)
            resumeDialogues(now: now)
            oomWitness.tick(now: now, cgroups: workers.values.compactMap(\.cgroup))
        }
        record(.serverStopped(exitCode: exitCode, reason: failureReason, uptimeSeconds: (.now - started).seconds))
        return exitCode
    }

    private var deadline: ContinuousClock.Instant? {
        let phaseDeadline: ContinuousClock.Instant? =
            switch phase {
            case .settling(let until), .closing(let until): until
            case .running, .killing, .ended: nil
            }
        let deadlines = [
            fleet.deadline, ledger.deadline, collector.deadline, oomWitness.deadline, live.deadline, controlPause,
            nextCount, phaseDeadline,
        ]
        return deadlines.compactMap { $0 }.min()
    }

    private func advancePhase() {
        let now = ContinuousClock.now
        if case .settling(let until) = phase, !ledger.awaitsReports || until <= now {
            for event in ledger.flush() { record(event) }
            collector.close()
            phase = .closing(until: now + configuration.collectorPatience)
        }
        if case .closing(let until) = phase {
            if !collector.isRunning {
                phase = .ended
            } else if until <= now {
                collector.kill()
                phase = .killing
            }
        }
        if case .killing = phase, !collector.isRunning { phase = .ended }
    }

    // MARK: - Commands

    private func obeyCommands() {
        for command in mailbox.take() {
            let now = ContinuousClock.now
            switch command {
            case .stop(let reason):
                guard case .running = phase, !fleet.isStopping else { break }
                stopReason = reason
                record(.serverStopping(reason: reason, workers: workers.count))
                perform(fleet.stop(now: now))
            case .hasten:
                isHasty = true
                perform(fleet.hasten(now: now))
                switch phase {
                case .settling: phase = .settling(until: now)
                case .closing: phase = .closing(until: now)
                case .running, .killing, .ended: break
                }
            case .reload:
                guard case .running = phase, !fleet.isStopping else { break }
                record(.serverReloading)
                perform(fleet.reloadWorkers(now: now))
            case .reopenLog: reopenLog()
            }
        }
    }

    private func reopenLog() {
        guard output.path != nil else { return }
        do {
            try output.reopen()
        } catch {
            log.logger.error("\(error.description)")
        }
        for worker in workers.values {
            // Before it is ready a worker may not know the signal yet, and would die of it.
            if worker.becameReady { worker.child.send(signal: SIGUSR1) } else { staleLogs.insert(worker.id) }
        }
    }

    // MARK: - Actions

    func perform(_ actions: [Fleet.Action]) {
        for action in actions {
            switch action {
            case .start(let id, let succeeding): start(id, succeeding: succeeding)
            case .adopt(let id, let succeeding):
                if let worker = workers[id] { announce(worker, succeeding: succeeding) }
            case .terminate(let id):
                workers[id]?.expectation.toldToStop = true
                if let worker = workers[id], let outgrown = worker.outgrown, !fleet.isStopping {
                    record(
                        .workerRecycled(
                            .init(
                                worker: worker.identity, rssBytes: outgrown.rssBytes, limitBytes: outgrown.limitBytes,
                                crashID: worker.growthReport)))
                }
                workers[id]?.child.send(signal: SIGTERM)
            case .kill(let id):
                if isHasty {
                    workers[id]?.expectation.killed = true
                } else {
                    let limit = Quantity.duration(seconds: configuration.rules.gracePeriod.seconds) ?? "the time it had"
                    workers[id]?.expectation.killedBecause =
                        "it had not ended \(limit) after it was told to stop (--graceful-timeout)"
                }
                workers[id]?.child.send(signal: SIGKILL)
            case .giveUp(let id):
                let limit = Quantity.duration(seconds: configuration.rules.startupTimeout.seconds) ?? "the time it had"
                workers[id]?.failure = StartupFailure(
                    code: StartupFailure.applicationFailed,
                    message: "the application was not loaded after \(limit); --startup-timeout gives it longer")
                workers[id]?.expectation.killedBecause = "it was not ready after \(limit) (--startup-timeout)"
                workers[id]?.child.send(signal: SIGKILL)
            case .backOff(let slot, let failures, let delay):
                record(.workerCrashLoop(slot: slot, failures: failures, backoffSeconds: delay.seconds))
            case .abandon(let id):
                for event in ledger.abandoned(id) { record(event) }
            case .reloadFinished: record(.serverReloaded)
            case .reloadFailed(let slot): record(.serverReloadFailed(slot: slot))
            case .finish(let outcome):
                self.outcome = outcome
                phase = .settling(until: .now + (isHasty ? .zero : configuration.collectorPatience))
            }
        }
    }

    func record(_ event: ServerEvent) { afterwards { [log] in log.record(event) } }

    /// Runs `body` now, or after what ``holdBack(_:after:)`` holds it back for.
    func afterwards(_ body: @escaping () -> Void) {
        if heldBack == nil { body() } else { heldBack?.append(body) }
    }

    /// Runs `urgent`, then `first`, then what `urgent` wanted to say.
    func holdBack(_ urgent: () -> Void, after first: () -> Void) {
        heldBack = []
        urgent()
        let later = heldBack ?? []
        heldBack = nil
        first()
        for body in later { body() }
    }

    // MARK: - The end

    private var exitCode: Int32 {
        switch outcome {
        case .stopped: 0
        case .allWorkersGone: 1
        case .startupFailed(let failure): failure.code
        }
    }

    private var failureReason: String? {
        switch outcome {
        case .stopped: stopReason
        case .allWorkersGone: "the last worker is gone and respawning is off (--no-respawn-failed-workers)"
        case .startupFailed(let failure): failure.message.firstLine
        }
    }
}
