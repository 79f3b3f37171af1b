// The collector: waits on the control socket and on the memory socket of every watched worker, and gives each crash a job. A thin driver:
// what is done when is decided by CollectorState.

import CGraniteCapture
import CLinux
import Glibc
import GraniteCrashChannel
package import GraniteStore
import Synchronization

/// One per server. Belongs to the thread that calls ``run()``.
package final class Collector {
    /// How long jobs may go on once the supervisor is gone.
    static let closingNanoseconds: UInt64 = 10_000_000_000

    private let level: UInt32
    private let withLocals: Bool
    private let shared: CrashJob.Shared
    private let inbox: Inbox
    private var state = CollectorState()
    private var watchdog = JobWatchdog()
    private let warmup: SymbolWarmup
    /// When to begin with it, for which worker; nil before the first and once it has begun.
    private var warmupDue: (deadline: UInt64, crashID: String)?
    private var hasWarmedUp = false
    private var workers: [String: WatchedWorker] = [:]
    private var isControlOpen = true
    private var isStopped = false
    private let ownsProcess: Bool
    private let log: (String) -> Void

    /// - Parameters:
    ///   - controlDescriptor: a SOCK_SEQPACKET socket of the supervisor; taken over.
    ///   - level: 0 off, 1 short, 2 full: the most that is put into a report.
    ///   - withLocals: whether reports hold local variables of Python functions.
    ///   - ownsProcess: whether the process is the collector's own: its address space is limited, and it ends with an overdue job.
    ///   - log: told what no report can tell, a sentence each.
    package init(
        controlDescriptor: Int32, store: ReportStore, level: UInt32, withLocals: Bool = false,
        ownsProcess: Bool = true, log: @escaping (String) -> Void
    ) throws(CollectorError) {
        let wake = granite_eventfd()
        guard wake >= 0 else {
            throw CollectorError(.systemCall, errno: errno, doing: "The collector could not make an eventfd")
        }
        self.level = level
        self.withLocals = withLocals
        self.ownsProcess = ownsProcess
        self.log = log
        shared = CrashJob.Shared(store: store, channel: ControlChannel(socket: controlDescriptor))
        warmup = SymbolWarmup(shared: shared)
        inbox = Inbox(wake: wake)
    }

    /// Serves until the supervisor closes the control socket and the jobs are done, at most 10 s later. Gives up when a job is overdue: a
    /// thread that hangs in a foreign file cannot be ended by itself, and the supervisor starts a new collector.
    package func run() {
        ResourceLimits.apply(ofMemory: ownsProcess)
        // A job that hangs, or the warm-up, may hold the channel for long.
        defer { shared.channel.end() }
        shared.channel.send(.ready)
        var closingDeadline = UInt64.max
        while !isStopped {
            wait(until: min(closingDeadline, watchdog.deadline, warmupDue?.deadline ?? .max))
            takeJobNews()
            if isOverdue() {
                if ownsProcess { _exit(EX_SOFTWARE) }
                return
            }
            warmUpIfDue()
            takeHellos()
            while isControlOpen, takeControlMessage() {}
            if !isControlOpen, closingDeadline == .max {
                closingDeadline = granite_monotonic_ns() &+ Self.closingNanoseconds
            }
            if granite_monotonic_ns() >= closingDeadline { return log("The collector ends with reports unfinished.") }
        }
    }

    private func wait(until deadline: UInt64) {
        var descriptors = [pollfd(fd: inbox.wake, events: Int16(POLLIN), revents: 0)]
        if isControlOpen { descriptors.append(pollfd(fd: shared.channel.socket, events: Int16(POLLIN), revents: 0)) }
        for worker in workers.values where worker.isListening {
            descriptors.append(pollfd(fd: worker.socket, events: Int16(POLLIN), revents: 0))
        }
        let now = granite_monotonic_ns()
        let timeout: Int32 =
            deadline == .max ? -1 : now >= deadline ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
        _ = poll(&descriptors, nfds_t(descriptors.count), timeout)
    }

    private func isOverdue() -> Bool {
        guard let crashID = watchdog.overdue(now: granite_monotonic_ns()) else { return false }
        log(
            "The collector ends: the report of \(crashID) was not done after \(JobWatchdog.limitNanoseconds / 1_000_000_000) s."
        )
        return true
    }

    private func warmUpIfDue() {
        let now = granite_monotonic_ns()
        guard let due = warmupDue, due.deadline <= now else { return }
        guard isControlOpen, let worker = workers[due.crashID] else {
            warmupDue = nil
            return
        }
        guard state.isIdle, (try? worker.page?.status())?.isReady == true else {
            warmupDue?.deadline = now &+ SymbolWarmup.delayNanoseconds
            return
        }
        warmupDue = nil
        hasWarmedUp = warmup.start(pid: worker.watch.pid)
    }

    private func takeJobNews() {
        for news in inbox.take() {
            switch news {
            case .released(let crashID): workers[crashID]?.isReading = false
            case .ended(let crashID, let number):
                watchdog.end(number)
                perform(state.handle(.jobEnded(crashID: crashID)))
            }
        }
    }

    private func takeHellos() {
        for (crashID, worker) in workers where worker.isListening {
            switch worker.takeHello() {
            case .hello(let capture):
                perform(state.handle(.spoke(crashID: crashID, capture: capture, worker.pageState())))
            case .hungUp: workers[crashID]?.hasHungUp = true
            case .nothing: break
            }
        }
    }

    /// False if there is none now.
    private func takeControlMessage() -> Bool {
        switch shared.channel.receive() {
        case .nothing:
            return false
        case .closed:
            isControlOpen = false
            perform(state.handle(.controlClosed))
            return false
        case .malformed(let why):
            log("The collector ignored a message: \(why).")
        case .message(.watch(let watch), let descriptors):
            let worker = WatchedWorker(watch: watch, descriptors: descriptors)
            if let problem = worker.problem { log(problem) }
            let actions = state.handle(.watched(watch, worker.pageState()))
            // A worker that is watched already keeps its jobs and the descriptors that they use.
            if workers[watch.crashID] == nil || actions.contains(.forget(crashID: watch.crashID)) {
                workers[watch.crashID] = worker
            }
            perform(actions.filter { $0 != .forget(crashID: watch.crashID) })
            if !hasWarmedUp, warmupDue == nil {
                warmupDue = (granite_monotonic_ns() &+ SymbolWarmup.delayNanoseconds, watch.crashID)
            }
        case .message(.exited(let exited), let descriptors):
            closeAll(descriptors)
            let page = workers[exited.crashID]?.pageState() ?? .empty
            perform(state.handle(.exited(exited, page)))
        case .message(.respawned(let respawned), let descriptors):
            closeAll(descriptors)
            perform(state.handle(.respawned(respawned)))
        }
        return true
    }

    private func closeAll(_ descriptors: [Int32]) {
        for descriptor in descriptors { close(descriptor) }
    }

    private func perform(_ actions: [CollectorState.Action]) {
        for action in actions {
            switch action {
            case .start(let job): start(job)
            case .post(.exited(let exited)): workers[exited.crashID]?.mailbox.post(exited)
            case .post(.respawned(let respawned)): workers[respawned.crashID]?.mailbox.post(respawned)
            case .post(.watch): break
            case .forget(let crashID): workers[crashID] = nil
            case .releaseJobs: for worker in workers.values { worker.mailbox.close() }
            case .stop: isStopped = true
            }
        }
    }

    private func start(_ job: CollectorState.Job) {
        guard let worker = workers[job.crashID] else { return }
        if job.source != .exit {
            warmup.stop()
            hasWarmedUp = true  // what the job reads is as good
        }
        // A held worker is asked again: when it was handed over it had not yet entered its own directory.
        let process = job.source == .live ? worker.process.refreshed(pid: worker.watch.pid) : worker.process
        let work = CrashJob(
            job: job, watch: worker.watch, page: worker.page, socket: worker.socket, process: process,
            mailbox: worker.mailbox,
            level: level, withLocals: withLocals, shared: shared)
        if job.source == .live { workers[job.crashID]?.isReading = true }
        let number = watchdog.begin(job.crashID, now: granite_monotonic_ns())
        let inbox = inbox
        let descriptors = worker.descriptors
        let started = DetachedThread.start {
            // The descriptors stay open as long as the job may use them.
            withExtendedLifetime(descriptors) {
                work.run(released: { inbox.put(.released(crashID: job.crashID)) })
            }
            inbox.put(.ended(crashID: job.crashID, job: number))
        }
        if !started {
            work.giveUp("The collector could not start a thread for this crash.")
            inbox.put(.released(crashID: job.crashID))
            inbox.put(.ended(crashID: job.crashID, job: number))
        }
    }

    /// What jobs tell the loop.
    private final class Inbox: Sendable {
        enum News: Sendable {
            case released(crashID: String)
            case ended(crashID: String, job: UInt64)
        }
        /// An eventfd that is readable while there is news.
        let wake: Int32
        private let news = Mutex<[News]>([])

        init(wake: Int32) { self.wake = wake }

        deinit { close(wake) }

        func put(_ item: News) {
            news.withLock { $0.append(item) }
            var one: UInt64 = 1
            _ = write(wake, &one, 8)
        }

        func take() -> [News] {
            var count: UInt64 = 0
            _ = read(wake, &count, 8)
            return news.withLock { news in
                defer { news = [] }
                return news
            }
        }
    }
}
