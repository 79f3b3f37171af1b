// The loop's part for workers that hang, and for captures of live ones that a person asks for.

import CLinux
import Glibc
import GraniteCrashChannel
import GraniteLinux
import GraniteLogging
import GraniteReport
import Logging

extension SupervisorLoop {
    /// What it learns of the workers' pages becomes captures, events and, at the hard limit, a death.
    func watchForHangs(now: ContinuousClock.Instant) {
        for (worker, action) in live.tick(now: now, workers: workers) {
            switch action {
            case .report(let hang):
                record(.workerHanging(event(hang, worker, isCaptured: canCapture, isKilled: false)))
                guard canCapture else { break }
                let thread = hang.request.map { Int32(clamping: $0.tid) }
                live.dump(worker, cause: hang.cause, thread: thread) { [unowned self] outcome in
                    guard case .failed(let reason) = outcome else { return }
                    record(
                        .crashReportFailed(
                            worker: worker.identity, crashID: worker.crashID,
                            reason: "No stacks of the hang: \(reason)."))
                }
            case .tell(let hang): record(.workerHanging(event(hang, worker, isCaptured: false, isKilled: false)))
            case .capturesAndKill(let hang):
                worker.expectation.killedBecause = Self.clause(hang)
                record(.workerHanging(event(hang, worker, isCaptured: canCapture, isKilled: true)))
                if canCapture, let request = hang.request {
                    live.captureAndKill(worker, thread: Int32(clamping: request.tid))
                } else {
                    worker.child.send(signal: SIGKILL)
                }
            case .kill: worker.child.send(signal: SIGKILL)
            }
        }
    }

    private var canCapture: Bool { configuration.level != .off && collector.isAvailable }

    private func event(_ hang: HangPolicy.Hang, _ worker: WorkerProcess, isCaptured: Bool, isKilled: Bool)
        -> ServerEvent.WorkerHanging
    {
        .init(
            worker: worker.identity, cause: Self.option(hang.cause), seconds: hang.lasting.seconds,
            request: hang.request.map { request in
                var info = RequestInfo()
                info.id = request.id
                info.method = request.method
                info.target = Redaction.target(request.target)
                info.tid = Int(request.tid)
                return info
            }, isCaptured: isCaptured, isKilled: isKilled)
    }

    private static func clause(_ hang: HangPolicy.Hang) -> String {
        let request = hang.request.map { "\($0.method) \(Redaction.target($0.target))" } ?? "a request"
        return
            "\(request) had been running for \(Quantity.duration(seconds: hang.lasting.seconds) ?? "too long") (--request-kill-timeout)"
    }

    private static func option(_ cause: CrashPage.Cause) -> String {
        switch cause {
        case .requestTimeout: "request_timeout"
        case .requestKillTimeout: "request_kill_timeout"
        case .stallTimeout: "stall_timeout"
        case .none, .asked: "asked"
        }
    }

    // MARK: - The control socket

    /// Lets `granite-crash dump` find this server. Without it the server serves all the same.
    func openControlSocket() {
        guard configuration.level != .off else { return }
        switch ServerSocket.listen(crashDirectory: configuration.crashDirectory, name: controlName) {
        case .success(let number):
            control = Descriptor(number)
            listenForDialogues()
        case .failure(let failure):
            let why = String(cString: strerror(failure.errno))
            log.logger.warning(
                "`granite-crash dump` will not work: no socket in \(configuration.crashDirectory): \(why).")
        }
    }

    func closeControlSocket() {
        guard configuration.level != .off else { return }
        ServerSocket.remove(crashDirectory: configuration.crashDirectory, name: controlName)
    }

    private func listenForDialogues() {
        controlPause = nil
        guard let control else { return }
        do throws(SupervisorError) {
            controlToken = try poller.add(control) { [unowned self] in acceptDialogue(on: control) }
        } catch {
            log.logger.warning("`granite-crash dump` will not work: \(error.description)")
        }
    }

    /// Listens on after a pause.
    func resumeDialogues(now: ContinuousClock.Instant) {
        if let controlPause, controlPause <= now { listenForDialogues() }
    }

    private func acceptDialogue(on listener: Descriptor) {
        let number = granite_accept(listener.number)
        guard number >= 0 else {
            // Who waits goes on waiting, and the poller would say so without end: without descriptors (EMFILE, ENFILE) or memory.
            guard ![EAGAIN, EINTR, ECONNABORTED].contains(errno) else { return }
            poller.remove(controlToken)
            controlToken = nil
            controlPause = .now + .seconds(1)
            return
        }
        let peer = Descriptor(number)
        guard ServerSocket.isTrusted(number), dialogues.count < Self.maxDialogues else { return }
        dialogues[number] = try? poller.add(peer) { [unowned self] in converse(with: peer) }
    }

    private func converse(with peer: Descriptor) {
        guard let request = ServerSocket.receive(ServerRequest.self, from: peer.number) else { return hangUp(peer) }
        switch request {
        case .workers:
            let known = workers.values.sorted { $0.id < $1.id }.map {
                ServerReply.Worker(slot: $0.id.slot, pid: $0.child.pid)
            }
            ServerSocket.send(ServerReply.workers(server: getpid(), known), over: peer.number)
        case .dump(let pid):
            guard let worker = workers.values.first(where: { $0.child.pid == pid }) else {
                ServerSocket.send(ServerReply.refused("there is no worker with pid \(pid)"), over: peer.number)
                return
            }
            guard collector.isAvailable else {
                ServerSocket.send(ServerReply.refused("the server has no crash collector"), over: peer.number)
                return
            }
            live.dump(worker, cause: .asked) { outcome in
                let reply: ServerReply =
                    switch outcome {
                    case .reported(let summary): .dumped(id: summary.id, report: summary.report)
                    case .failed(let reason): .refused(reason)
                    }
                ServerSocket.send(reply, over: peer.number)
            }
        }
    }

    private func hangUp(_ peer: Descriptor) {
        if let token = dialogues.removeValue(forKey: peer.number) { poller.remove(token) }
    }
}
