// Runs the crash collector: starts it, restarts it with backoff, speaks with it. Its absence never holds up a worker.

import CLinux
import FoundationEssentials
import Glibc
import GraniteCrashChannel
import GraniteLinux
import GraniteReport

/// The collector of one server. Belongs to the supervisor's thread.
final class CollectorProcess {
    private enum State {
        /// Not wanted, not to be had, or closed.
        case absent
        case waiting(until: ContinuousClock.Instant)
        case running(Running)
    }

    private struct Running {
        var child: ChildProcess
        let started = ContinuousClock.now
        var control: Descriptor
        var output: OutputRelay
        var outbox: [Watchlist.Dispatch] = []
        var isReady = false
        var death: Poller.Token?
        var messages: Poller.Token?
        var lines: Poller.Token?
    }

    /// What happens at the collector that the loop must know.
    struct Observer {
        var event: (ServerEvent) -> Void
        var message: (CollectorMessage) -> Void
        /// Lines of its stderr.
        var output: (pid_t, [[UInt8]]) -> Void
    }

    /// Where the collector finds its end of the control socket.
    private static let controlDescriptor: Int32 = 3

    private let configuration: SupervisorConfiguration
    private let poller: Poller
    private let observer: Observer
    private var state = State.absent
    private var policy = RespawnPolicy()
    private var isClosing = false
    private(set) var watchlist = Watchlist()

    init(configuration: SupervisorConfiguration, poller: Poller, observer: Observer) {
        self.configuration = configuration
        self.poller = poller
        self.observer = observer
    }

    /// Whether reports are being made, now or soon.
    var isAvailable: Bool { if case .absent = state { false } else { true } }
    var isRunning: Bool { if case .running = state { true } else { false } }

    /// When ``tick(now:)`` has something to do.
    var deadline: ContinuousClock.Instant? { if case .waiting(let until) = state { until } else { nil } }

    func start() {
        guard configuration.level != .off else { return }
        spawn(restarted: false)
    }

    func tick(now: ContinuousClock.Instant) {
        guard case .waiting(let until) = state, until <= now else { return }
        spawn(restarted: true)
    }

    // MARK: - What it is told

    func watch(_ worker: WorkerProcess) {
        guard isAvailable else { return }
        send(
            watchlist.watch(
                .init(
                    crashID: worker.crashID, slot: worker.id.slot, generation: worker.id.generation,
                    pid: worker.child.pid,
                    afterCollectorRestart: false),
                descriptors: [worker.page, worker.collectorEnd]))
    }

    func exited(_ exited: SupervisorMessage.Exited) {
        let (dispatch, givenUp) = watchlist.exited(exited)
        if let dispatch { send(dispatch) }
        for id in givenUp {
            observer.message(.failed(crashID: id, reason: "The collector did not answer in time.", summary: nil))
        }
    }

    func respawned(_ respawned: SupervisorMessage.Respawned) { send(watchlist.respawned(respawned)) }

    func settle(_ crashID: String) { watchlist.settle(crashID) }

    /// No more deaths will come: the collector finishes what it has and ends.
    func close() {
        isClosing = true
        switch state {
        case .running(let running): shutdown(running.control.number, Int32(SHUT_WR))
        case .waiting, .absent: state = .absent
        }
    }

    /// Ends it at once. The loop goes on until its death is noticed.
    func kill() {
        if case .running(let running) = state { running.child.send(signal: SIGKILL) }
    }

    // MARK: - Its life

    private func spawn(restarted: Bool) {
        do throws(SupervisorError) {
            let control = try Descriptor.makeMessageSockets()
            let output = try Descriptor.makePipe()
            try control.0.makeNonBlocking()
            let recipe = ChildProcess.Recipe(
                executable: configuration.collectorExecutable,
                arguments: [
                    "collect", "--control-fd", String(Self.controlDescriptor), "--crash-dir",
                    configuration.crashDirectory,
                    "--level", configuration.level.rawValue,
                ] + (configuration.keepsLocals ? ["--locals"] : []),
                environment: configuration.childEnvironment,
                descriptors: [(output.writing.number, STDERR_FILENO), (control.1.number, Self.controlDescriptor)],
                ownProcessGroup: true)
            let child = try withExtendedLifetime((output.writing, control.1)) { () throws(SupervisorError) in
                try ChildProcess.spawn(recipe)
            }
            var running = Running(child: child, control: control.0, output: OutputRelay(descriptor: output.reading))
            do throws(SupervisorError) {
                running.death = try poller.add(child.pidfd) { [unowned self] in noticeDeath() }
                running.messages = try poller.add(control.0) { [unowned self] in receive() }
                running.lines = try poller.add(output.reading) { [unowned self] in relay() }
            } catch {
                forget(running)
                child.abandon()
                throw error
            }
            state = .running(running)
            observer.event(.collectorStarted(pid: child.pid, restarted: restarted))
            let (dispatches, givenUp) = watchlist.replay()
            for dispatch in dispatches { send(dispatch) }
            for id in givenUp {
                let reason = "\(Watchlist.maxReplays + 1) collectors in a row ended before this report was made."
                observer.message(.failed(crashID: id, reason: reason, summary: nil))
            }
        } catch {
            if error.code == .cannotSpawn && (error.errno == ENOENT || error.errno == EACCES || error.errno == ENOEXEC)
            {
                state = .absent
                observer.event(.collectorUnavailable(reason: error.description))
            } else {
                state = .waiting(until: .now + policy.spawnFailed())
            }
        }
    }

    private func noticeDeath() {
        receive()
        guard case .running(var running) = state, let (status, _) = running.child.reap() else { return }
        let (lines, _) = running.output.read(chunks: 16)
        observer.output(running.child.pid, lines + (running.output.finish().map { [$0] } ?? []))
        forget(running)
        let exit = ExitStatus(waitStatus: status)
        if isClosing {
            state = .absent
            observer.event(.collectorExited(pid: running.child.pid, exit: exit, retrySeconds: nil))
            return
        }
        let delay = policy.workerDied(uptime: .now - running.started, becameReady: running.isReady)
        state = .waiting(until: .now + delay)
        observer.event(.collectorExited(pid: running.child.pid, exit: exit, retrySeconds: delay.seconds))
        tick(now: .now)
    }

    private func forget(_ running: Running) {
        poller.remove(running.death)
        poller.remove(running.messages)
        poller.remove(running.lines)
    }

    private func relay() {
        guard case .running(var running) = state else { return }
        let (lines, ended) = running.output.read()
        if ended {
            poller.remove(running.lines)
            running.lines = nil
        }
        state = .running(running)
        if !lines.isEmpty { observer.output(running.child.pid, lines) }
    }

    // MARK: - Messages

    private func receive() {
        guard case .running(var running) = state else { return }
        flush(&running)
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        var messages: [CollectorMessage] = []
        for _ in 0..<64 {
            let count = recv(running.control.number, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else {
                if count == 0 || (errno != EAGAIN && errno != EINTR) {
                    // It closed the socket; its death comes next.
                    poller.remove(running.messages)
                    running.messages = nil
                }
                break
            }
            guard let message = try? JSONDecoder().decode(CollectorMessage.self, from: Data(buffer[..<count])) else {
                continue
            }
            if message == .ready { running.isReady = true }
            messages.append(message)
        }
        state = .running(running)
        for message in messages { observer.message(message) }
    }

    private func send(_ dispatch: Watchlist.Dispatch) {
        guard case .running(var running) = state else { return }  // told by replay() when it runs again
        running.outbox.append(dispatch)
        flush(&running)
        state = .running(running)
    }

    /// Sends what waits, as far as the socket takes it. A collector that is gone loses it: the next one is told all again.
    private func flush(_ running: inout Running) {
        while let dispatch = running.outbox.first {
            let descriptors = dispatch.descriptors.map(\.number)
            let sent =
                (try? JSONEncoder().encode(dispatch.message))?.withUnsafeBytes { bytes in
                    bytes.baseAddress.map {
                        granite_send_with_descriptors(
                            running.control.number, $0, bytes.count, descriptors, Int32(descriptors.count))
                    }
                } ?? 0
            if sent < 0 && (errno == EAGAIN || errno == ENOBUFS) { break }
            running.outbox.removeFirst()
        }
        if let token = running.messages { poller.watchWriting(!running.outbox.isEmpty, token) }
    }
}
