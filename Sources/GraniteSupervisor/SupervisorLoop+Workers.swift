// The loop's part for workers: start, listen, notice death. A replacement is started before anything is written about the death.

import CLinux
import Glibc
import GraniteCrashChannel
import GraniteLinux
import GraniteLogging
import GraniteReport

extension SupervisorLoop {
    /// Spawns a worker. What the system refuses is tried again later by the fleet's rules.
    func start(_ id: WorkerID, succeeding: WorkerID?) {
        do throws(SupervisorError) {
            let worker = try WorkerProcess(id, configuration: configuration, log: output.descriptor)
            do throws(SupervisorError) {
                worker.tokens.death = try poller.add(worker.child.pidfd) { [unowned self] in noticeDeath(of: id) }
                worker.tokens.status = try poller.add(worker.status) { [unowned self] in listen(to: id) }
                worker.tokens.output = try poller.add(worker.output.descriptor) { [unowned self] in relayOutput(of: id)
                }
            } catch {
                forget(worker)
                worker.child.abandon()
                throw error
            }
            worker.cgroup = oomWitness.watch(process: worker.child.pid)
            workers[id] = worker
            collector.watch(worker)
            record(.workerStarted(worker.identity))
            announce(worker, succeeding: succeeding)
        } catch {
            record(.workerSpawnFailed(slot: id.slot, reason: error.description))
            perform(
                fleet.spawnFailed(
                    id, succeeding: succeeding, failure: .init(code: 1, message: error.description), now: .now))
        }
    }

    /// Tells the story of the worker's predecessor on: it has been replaced.
    func announce(_ worker: WorkerProcess, succeeding: WorkerID?) {
        guard let succeeding, let replacement = ledger.replaced(succeeding, by: worker.identity, now: .now) else {
            return
        }
        for event in replacement.events { record(event) }
        guard let crashID = replacement.crashID else { return }
        afterwards { [collector] in
            collector.respawned(
                .init(crashID: crashID, pid: worker.child.pid, afterMilliseconds: replacement.milliseconds))
        }
    }

    // MARK: - Status and output

    private func listen(to id: WorkerID) {
        guard let worker = workers[id] else { return }
        let (messages, ended) = worker.readStatus()
        if ended {
            poller.remove(worker.tokens.status)
            worker.tokens.status = nil
        }
        for message in messages { heed(message, of: worker) }
    }

    private func heed(_ message: WorkerStatus, of worker: WorkerProcess) {
        switch message {
        case .ready:
            guard !worker.becameReady else { return }
            worker.becameReady = true
            live.begin(worker)
            if nextCount == nil { nextCount = .now + configuration.countInterval }
            // Whoever started it may have moved it meanwhile.
            worker.cgroup = oomWitness.watch(process: worker.child.pid) ?? worker.cgroup
            record(.workerReady(worker.identity, startupMilliseconds: (.now - worker.started).milliseconds))
            if staleLogs.remove(worker.id) != nil { worker.child.send(signal: SIGUSR1) }
            perform(fleet.becameReady(worker.id, now: .now))
        case .failed(let code, let message):
            worker.failure = StartupFailure(code: (1...255).contains(code) ? code : 1, message: message)
            worker.complaint = message
        case .outgrown(let rssBytes, let limitBytes):
            replaceOutgrown(worker, rssBytes: rssBytes, limitBytes: limitBytes)
        case .stopping:
            worker.expectation.saidStopping = true
        case .terminated(let sender):
            guard sender != getpid() else { break }
            worker.expectation.stoppedBy =
                sender == worker.child.pid
                ? "it sent SIGTERM to itself" : "process \(Self.named(sender)) sent it SIGTERM, its supervisor did not"
        }
    }

    /// `4711 (bash)`, or the pid alone if that process is gone.
    private static func named(_ pid: Int32) -> String {
        let name = SmallFile.text(at: "/proc/\(pid)/comm", limit: 64).map { $0.prefix { $0 != "\n" } }
        return "\(pid)" + (name.map { " (\($0))" } ?? "")
    }

    private func relayOutput(of id: WorkerID) {
        guard let worker = workers[id] else { return }
        let (lines, ended) = worker.output.read()
        if ended {
            poller.remove(worker.tokens.output)
            worker.tokens.output = nil
        }
        relay(lines, of: worker.identity)
    }

    private func relay(_ lines: [[UInt8]], of worker: WorkerIdentity) {
        relay(lines) { .workerOutput(worker, line: $0) }
    }

    /// Passes lines of a child's stderr on, as events if the log is JSON.
    func relay(_ lines: [[UInt8]], as event: (String) -> ServerEvent) {
        guard !lines.isEmpty else { return }
        if configuration.wrapsOutput {
            for line in lines { record(event(String(decoding: line, as: UTF8.self))) }
        } else {
            output.write(Array(lines.joined(separator: [UInt8(ascii: "\n")])) + [UInt8(ascii: "\n")])
        }
    }

    // MARK: - Death

    private func noticeDeath(of id: WorkerID) {
        guard let worker = workers[id], let (status, resources) = worker.child.reap() else { return }
        let noticed = ContinuousClock.now
        let noticedNanoseconds = granite_monotonic_ns()
        // What it said last decides what is done: "ready" and "failed" may still wait in the socket.
        for message in worker.readStatus().messages { heed(message, of: worker) }
        let exit = ExitStatus(waitStatus: status)
        let uptime = noticed - worker.started
        let expected = worker.expectation.covers(exit)
        let failure = worker.becameReady || expected ? nil : worker.failure ?? .unexplained(exit)
        let (requests, inFlight) = (worker.requests, expected ? [] : worker.requestsInFlight)
        let survived = worker.occasions.filter(\.isMistake).reduce(0) { $0 + Int($1.count) }
        let killedBecause = exit.number == Int(SIGKILL) ? worker.expectation.killedBecause : nil
        let crashID = expected || !collector.isAvailable ? nil : worker.crashID
        let actions = fleet.exited(
            id, .init(uptime: uptime, becameReady: worker.becameReady, failure: failure), now: noticed)

        // The replacement first, the words about it afterwards.
        let death = DeathLedger.Death(
            id: id, worker: worker.identity, crashID: crashID, uptimeSeconds: uptime.seconds, requests: requests,
            exit: exit, noticed: noticed)
        let told = ledger.add(death, willBeReplaced: actions.contains { $0.replaces(id) })
        holdBack {
            perform(actions)
        } after: {
            for event in told { record(event) }
            keepOutput(of: worker)
            let memory = oomWitness.account(
                of: worker.child.pid, in: worker.cgroup,
                wasKilled: exit.number == Int(SIGKILL) && !expected && killedBecause == nil)
            record(
                .workerExited(
                    .init(
                        worker: worker.identity, exit: exit, uptimeSeconds: uptime.seconds, requests: requests,
                        crashID: crashID,
                        expected: expected, duringStartup: !worker.becameReady,
                        message: failure.map { unrepeated($0.message) }
                            ?? (expected ? worker.expectation.unaskedStop : nil),
                        oomKills: memory.cgroup?.oomKills, wasOOMKilled: memory.oomKill != nil,
                        killedBecause: killedBecause, requestsInFlight: inFlight,
                        maxRSSBytes: resources.maxRSSBytes, memoryLimitBytes: memory.cgroup?.limitBytes,
                        survived: survived)))
            collector.exited(
                .init(
                    crashID: worker.crashID, pid: worker.child.pid, waitStatus: status, expected: expected,
                    duringStartup: !worker.becameReady, uptimeSeconds: uptime.seconds, resources: resources,
                    logTail: worker.lastLines, oomKills: memory.cgroup?.oomKills, memory: memory,
                    killedBecause: killedBecause, isReplacedNow: actions.contains { $0.replacesNow(id) },
                    noticedNanoseconds: noticedNanoseconds))
        }
        forget(worker)
        if let report = earlyReports.removeValue(forKey: worker.crashID) { heed(report) }
    }

    /// Passes on what the dead worker wrote last, and listens on if a child of it holds its stderr open.
    private func keepOutput(of worker: WorkerProcess) {
        let (lines, ended) = worker.output.read(chunks: 16)
        let rest = ended ? nil : worker.output.finish()
        relay(lines + (rest.map { [$0] } ?? []), of: worker.identity)
        guard !ended, worker.tokens.output != nil, orphans.count < Self.maxOrphans else { return }
        let key = nextOrphan
        nextOrphan += 1
        poller.remove(worker.tokens.output)
        worker.tokens.output = nil
        let token = try? poller.add(worker.output.descriptor) { [unowned self] in relayOrphan(key) }
        if token != nil { orphans[key] = (worker.identity, worker.output, token) }
    }

    private func relayOrphan(_ key: Int) {
        guard var orphan = orphans[key] else { return }
        let (lines, ended) = orphan.relay.read()
        orphans[key] = orphan
        if ended {
            poller.remove(orphan.token)
            orphans[key] = nil
        }
        relay(lines, of: orphan.identity)
    }

    private func forget(_ worker: WorkerProcess) {
        poller.remove(worker.tokens.death)
        poller.remove(worker.tokens.status)
        poller.remove(worker.tokens.output)
        workers[worker.id] = nil
        live.end(worker)
        occasions.forget(worker.id)
        if workers.isEmpty { nextCount = nil }
        staleLogs.remove(worker.id)
    }

    /// The message, or its first line if all of it was told just before: every worker fails to start for the same reason.
    private func unrepeated(_ message: String) -> String {
        defer { lastFailure = message }
        return message == lastFailure ? message.firstLine : message
    }
}

extension Fleet.Action {
    /// Whether the dead worker gets a replacement, now or later.
    fileprivate func replaces(_ id: WorkerID) -> Bool {
        switch self {
        case .start(_, let succeeding): succeeding == id
        case .adopt(_, let succeeding): succeeding == id
        case .backOff(let slot, _, _): slot == id.slot
        case .terminate, .kill, .giveUp, .abandon, .reloadFinished, .reloadFailed, .finish: false
        }
    }

    /// Whether its replacement is started now.
    fileprivate func replacesNow(_ id: WorkerID) -> Bool {
        if case .backOff = self { false } else { replaces(id) }
    }
}

extension StartupFailure {
    /// A worker that ended before it was ready and did not say why. A crash while loading is the application's, and so is an
    /// `os._exit(5)`: our codes mean what they say only when a worker tells them.
    fileprivate static func unexplained(_ exit: ExitStatus) -> StartupFailure {
        StartupFailure(code: applicationFailed, message: "the worker \(exit.phrase) before it was ready")
    }
}
