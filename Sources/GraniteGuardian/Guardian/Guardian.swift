// The guardian: hears the hellos of every process under `granite-crash run`, notices their ends, and tells a collector and run. A thin
// driver: what is done when is decided by GuardianState. It outlives run as long as a captured process lives.

import CLinux
import Glibc
import GraniteCrashChannel
package import GraniteLinux
import GraniteReport

/// One per run, in a process of its own. Belongs to the thread that calls ``run()``.
package final class Guardian {
    /// How often counters and memory are looked at, in nanoseconds, and the memory of how many processes.
    private static let samplingNanoseconds: UInt64 = 1_000_000_000
    private static let maxSampled = 64

    private typealias CollectorLink = MessageLink<CollectorMessage, SupervisorMessage>

    private let doorway: Doorway
    private let run: MessageLink<RunMessage, GuardianMessage>
    private let startCollector: () -> Descriptor?
    private var state: GuardianState
    private var oom = OOMCounters()
    private var processes: [String: GuardedProcess] = [:]
    /// Those that are not known to have ended.
    private var living: [Int32: String] = [:]
    private var collectors: [Int: CollectorLink] = [:]
    private var programPID: Int32?
    private var programEnd: (waitStatus: Int32, resources: ResourceUsage)?
    /// When the counters and memory were looked at last.
    private var sampled: UInt64 = 0
    private var refused = 0
    private var isStopped = false

    /// - Parameters:
    ///   - listener: a listening SOCK_SEQPACKET socket.
    ///   - run: connected to ``ProgramRun``, SOCK_SEQPACKET.
    ///   - reportsExits: exit codes other than 0 and SIGKILL get reports too.
    ///   - maxProcesses: that are captured at the same time.
    ///   - startCollector: starts one and gives the supervisor's end of its control socket; nil if it cannot be.
    package init(
        listener: Descriptor, run: Descriptor, reportsExits: Bool, maxProcesses: Int,
        startCollector: @escaping () -> Descriptor?
    ) {
        doorway = Doorway(listener: listener)
        self.run = MessageLink(run)
        self.startCollector = startCollector
        var limits = GuardianState.Limits()
        limits.processes = maxProcesses
        state = GuardianState(limits: limits, reportsExits: reportsExits, now: granite_monotonic_ns())
    }

    /// Tells run something that a person should know. The guardian's thread alone.
    package func complain(_ sentence: String) { run.send(.complaint(sentence)) }

    /// Serves until run is gone and no captured process lives.
    package func serve() {
        oom.sample(now: granite_monotonic_ns(), isGuarding: false)
        while !isStopped {
            wait()
            let now = granite_monotonic_ns()
            let isSampling = now &- sampled >= Self.samplingNanoseconds
            if isSampling { oom.sample(now: now, isGuarding: !living.isEmpty) }
            // run speaks of the program's end after its hello was sent: the hello is heard before that is acted on.
            hearRun()
            for guest in doorway.guests() { greet(guest) }
            noticeEnds()
            // Its program is nobody's zombie any more: the pid may be given away.
            if !run.isOpen { programPID = nil }
            if isSampling { sampleMemory(now: now) }
            hearCollectors()
            perform(state.tick(now: granite_monotonic_ns()))
        }
    }

    private func wait() {
        var requests = doorway.interest + collectors.values.filter(\.isOpen).map(\.interest)
        if run.isOpen { requests.append(run.interest) }
        for (pid, crashID) in living where !isAwaitingRun(pid) {
            guard let pidfd = processes[crashID]?.pidfd else { continue }
            requests.append(pollfd(fd: pidfd.number, events: Int16(POLLIN), revents: 0))
        }
        var timeout: Int32 = -1
        if let deadline = state.deadline {
            let now = granite_monotonic_ns()
            timeout = now >= deadline ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
        }
        if !living.isEmpty {
            let longest = Int32(Self.samplingNanoseconds / 1_000_000)
            timeout = timeout < 0 ? longest : min(timeout, longest)
        }
        _ = poll(&requests, nfds_t(requests.count), timeout)
        run.flush()
        for link in collectors.values { link.flush() }
    }

    // MARK: - run

    private func hearRun() {
        guard run.isOpen else { return }
        for message in run.receive() {
            switch message {
            case .started(let pid): programPID = pid
            case .ended(_, let waitStatus, let resources):
                programEnd = (waitStatus, resources)
                perform(state.handle(.programEnded, now: granite_monotonic_ns()))
            }
        }
        if !run.isOpen { perform(state.handle(.runGone, now: granite_monotonic_ns())) }
    }

    /// run's word on the program's end is on its way, and better than the kernel's: it tells what the program used.
    private func isAwaitingRun(_ pid: Int32) -> Bool { pid == programPID && programEnd == nil && run.isOpen }

    // MARK: - Processes

    private func greet(_ guest: Doorway.Guest) {
        if let before = living[guest.pid], let process = processes[before] {
            // The same process with a new image, unless the pid was given away meanwhile.
            end(process, isReplaced: guest.pidfd == nil || !process.hasEnded)
        }
        let process = GuardedProcess(
            crashID: ULID.make(), identity: CapturedProcess(pid: guest.pid, program: guest.hello.program),
            page: guest.page, pidfd: guest.pidfd, handover: guest.descriptors)
        processes[process.crashID] = process
        living[guest.pid] = process.crashID
        perform(state.handle(.hello(crashID: process.crashID), now: granite_monotonic_ns()))
    }

    private func noticeEnds() {
        for (pid, crashID) in living where !isAwaitingRun(pid) {
            guard let process = processes[crashID], process.hasEnded else { continue }
            end(process, isReplaced: false)
        }
    }

    /// Reports of the process then tell how its memory grew.
    private func sampleMemory(now: UInt64) {
        guard !living.isEmpty else { return }
        sampled = now
        let oldest = living.values.compactMap { processes[$0] }.sorted { $0.greeted < $1.greeted }
        for process in oldest.prefix(Self.maxSampled) { process.sampleMemory(now: now) }
    }

    private func end(_ process: GuardedProcess, isReplaced: Bool) {
        let pid = process.identity.pid
        living[pid] = nil
        for occasion in process.uncaptured { run.send(.counted(process.identity, occasion)) }
        var evidence: EndEvidence?
        memory = (nil, nil)
        if !isReplaced {
            var found = process.evidence(fromRun: pid == programPID ? programEnd?.waitStatus : nil)
            if let status = found.waitStatus, status & 0x7f == SIGKILL {
                let now = granite_monotonic_ns()
                oom.sample(now: now, isGuarding: true)
                memory = oom.recent(now: now)
                found.oomKillerStruck = (memory.cgroup ?? memory.system ?? 0) > 0
            }
            evidence = found
            let signal = found.waitStatus.map { $0 & 0x7f } ?? 0
            process.deathSignal = signal == 0 ? nil : signal
        }
        let end = GuardianState.End(evidence: evidence, captures: process.captures)
        perform(state.handle(.ended(crashID: process.crashID, end), now: granite_monotonic_ns()))
    }

    /// What the OOM killer's counters said at the last end by SIGKILL.
    private var memory: (cgroup: Int?, system: Int?) = (nil, nil)

    private func exited(_ process: GuardedProcess, _ waitStatus: Int32, isOrdinary: Bool) -> SupervisorMessage.Exited {
        var info: MemoryInfo?
        if let system = memory.system {
            info = MemoryInfo()
            info?.systemOOMKills = system
        }
        let uptime = Double((granite_monotonic_ns() - process.greeted) / 1_000_000) / 1000
        let isProgram = process.identity.pid == programPID
        return .init(
            crashID: process.crashID, pid: process.identity.pid, waitStatus: waitStatus, expected: isOrdinary,
            duringStartup: false, uptimeSeconds: uptime,
            resources: (isProgram ? programEnd?.resources : nil) ?? ResourceUsage(), logTail: [],
            oomKills: memory.cgroup, memory: info, isReplacedNow: false, noticedNanoseconds: granite_monotonic_ns())
    }

    // MARK: - Collectors

    private func hearCollectors() {
        for (number, link) in collectors {
            for message in link.receive() { heed(message) }
            guard !link.isOpen else { continue }
            collectors[number] = nil
            perform(state.handle(.collectorEnded(number), now: granite_monotonic_ns()))
        }
    }

    private func heed(_ message: CollectorMessage) {
        switch message {
        case .ready: break
        case .reported(let crashID, let summary):
            if let process = processes[crashID] {
                let signal = summary.id == crashID ? process.deathSignal ?? process.fatalSignal : nil
                run.send(.reported(process.identity, signal: signal, summary))
            }
            perform(state.handle(.answered(crashID: crashID), now: granite_monotonic_ns()))
        case .failed(let crashID, let reason, _):
            if let process = processes[crashID] { run.send(.failed(process.identity, reason: reason)) }
            perform(state.handle(.answered(crashID: crashID), now: granite_monotonic_ns()))
        }
    }

    private func perform(_ actions: [GuardianState.Action]) {
        for action in actions {
            switch action {
            case .startCollector(let number):
                if let control = startCollector() {
                    collectors[number] = CollectorLink(control)
                } else {
                    complain("No collector could be started: nothing is reported.")
                    perform(state.handle(.collectorEnded(number), now: granite_monotonic_ns()))
                }
            case .watch(let crashID, let number): watch(crashID, number)
            case .refuse(let crashID): refuse(crashID)
            case .tellEnd(let crashID, let waitStatus, let isOrdinary, let number):
                guard let process = processes[crashID] else { continue }
                let exited = exited(process, waitStatus, isOrdinary: isOrdinary)
                collectors[number]?.send(.exited(exited))
            case .forget(let crashID): processes[crashID] = nil
            case .closeCollector(let number): collectors[number]?.endSending()
            case .settle: settle()
            case .stop: isStopped = true
            }
        }
    }

    private func watch(_ crashID: String, _ number: Int) {
        guard let process = processes[crashID], let handover = process.handover else { return }
        process.handover = nil
        let watch = SupervisorMessage.Watch(
            crashID: crashID, slot: 0, generation: 0, pid: process.identity.pid, afterCollectorRestart: false,
            program: process.identity.program)
        collectors[number]?.send(.watch(watch), descriptors: handover)
    }

    private func refuse(_ crashID: String) {
        guard let process = processes.removeValue(forKey: crashID) else { return }
        living[process.identity.pid] = nil
        refused += 1
        if refused == 1 { complain("Too many processes live at the same time: the newest are not captured.") }
    }

    private func settle() {
        for crashID in living.values {
            guard let process = processes[crashID] else { continue }
            for occasion in process.uncaptured { run.send(.counted(process.identity, occasion)) }
        }
        run.send(.settled)
    }
}
