// Defines what the collector does when: which worker gets a job, from what, and when it may be forgotten. Pure: events in, actions out;
// the Collector performs them.

package import GraniteCrashChannel

package struct CollectorState: Sendable {
    /// What the crash page said at the moment of the event.
    package struct PageState: Sendable, Equatable {
        package enum Kind: Sendable, Equatable {
            /// No capture, or the page cannot be read.
            case none
            /// A fatal signal: the worker dies afterwards.
            case fatal
            /// A drop site, an unraisable exception, a dump: it goes on.
            case passing
        }
        package enum Progress: Sendable, Equatable {
            /// Before the worker began to serve its memory, or while it does.
            case underWay
            /// The worker does not serve any more.
            case over
        }
        package var kind: Kind
        package var progress: Progress
        /// capture.sequence.
        package var sequence: UInt32

        package init(kind: Kind, progress: Progress, sequence: UInt32) {
            self.kind = kind
            self.progress = progress
            self.sequence = sequence
        }

        package static let empty = PageState(kind: .none, progress: .over, sequence: 0)
    }

    package enum Event: Sendable, Equatable {
        /// The supervisor handed over a worker.
        case watched(SupervisorMessage.Watch, PageState)
        /// A handler said hello on its memory socket, for the capture of this sequence.
        case spoke(crashID: String, capture: UInt32, PageState)
        case exited(SupervisorMessage.Exited, PageState)
        case respawned(SupervisorMessage.Respawned)
        /// A job has reported, or given up.
        case jobEnded(crashID: String)
        /// The supervisor is gone, or wants the collector to stop.
        case controlClosed
    }

    package struct Job: Sendable, Equatable {
        package enum Source: Sendable, Equatable {
            /// The worker is held and serves its memory.
            case live
            /// Only the page is left of the capture.
            case page
            /// There was no capture: page, wait status and log tail.
            case exit
        }
        package var crashID: String
        package var source: Source
        /// True if the worker dies of it: the report waits for the exit status.
        package var isFatal: Bool
        /// True if this capture was there when the worker was handed over by a supervisor whose former collector had died.
        package var isResumed: Bool
    }

    package enum Action: Sendable, Equatable {
        case start(Job)
        /// Tell the jobs of the worker.
        case post(SupervisorMessage)
        /// Close the worker's descriptors; nothing more will come of it.
        case forget(crashID: String)
        /// Let the jobs end with what they have.
        case releaseJobs
        /// No job runs and nobody gives new ones.
        case stop
    }

    private struct Worker: Sendable {
        var watch: SupervisorMessage.Watch
        /// Captures that have or had a job.
        var startedCaptures: Set<UInt32> = []
        /// The capture that the former collector left; nil if there was none, or no former collector.
        var resumedCapture: UInt32?
        var hasFatalJob = false
        var activeJobs = 0
        var isDead = false
    }

    private var workers: [String: Worker] = [:]
    private var activeJobs = 0
    private var isClosing = false

    package init() {}

    /// No job runs.
    package var isIdle: Bool { activeJobs == 0 }

    package mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .watched(let watch, let page):
            var actions: [Action] = []
            if let known = workers[watch.crashID], known.activeJobs == 0 {
                actions.append(.forget(crashID: watch.crashID))
            }
            workers[watch.crashID] = workers[watch.crashID] ?? Worker(watch: watch)
            if watch.afterCollectorRestart, page.kind != .none {
                workers[watch.crashID]?.resumedCapture = page.sequence
            }
            // Its handler may wait for the collector that died; the hello went to that one.
            if watch.afterCollectorRestart, page.kind != .none, page.progress == .underWay {
                actions += start(watch.crashID, .live, page)
            }
            return actions
        case .spoke(let crashID, let capture, let page):
            // A hello that was read late may be of a capture that is overwritten, or that nobody serves any more.
            guard capture == page.sequence else { return [] }
            return start(crashID, page.progress == .underWay ? .live : .page, page)
        case .exited(let exited, let page):
            return handleExit(exited, page)
        case .respawned(let respawned):
            return workers[respawned.crashID] == nil ? [] : [.post(.respawned(respawned))]
        case .jobEnded(let crashID):
            activeJobs -= 1
            workers[crashID]?.activeJobs -= 1
            var actions: [Action] = []
            if let worker = workers[crashID], worker.isDead, worker.activeJobs == 0 { actions.append(forget(crashID)) }
            if isClosing, activeJobs == 0 { actions.append(.stop) }
            return actions
        case .controlClosed:
            isClosing = true
            return activeJobs == 0 ? [.releaseJobs, .stop] : [.releaseJobs]
        }
    }

    private mutating func handleExit(_ exited: SupervisorMessage.Exited, _ page: PageState) -> [Action] {
        guard var worker = workers[exited.crashID], !worker.isDead else { return [] }
        worker.isDead = true
        workers[exited.crashID] = worker
        if worker.hasFatalJob {
            // A core dump may take longer than the job waited for the exit.
            return worker.activeJobs == 0 ? [forget(exited.crashID)] : [.post(.exited(exited))]
        }
        if page.kind == .fatal, !worker.startedCaptures.contains(page.sequence) {
            return start(exited.crashID, .page, page) + [.post(.exited(exited))]
        }
        if exited.expected { return worker.activeJobs == 0 ? [forget(exited.crashID)] : [] }
        return start(exited.crashID, .exit, .init(kind: .fatal, progress: .over, sequence: .max)) + [
            .post(.exited(exited))
        ]
    }

    private mutating func start(_ crashID: String, _ source: Job.Source, _ page: PageState) -> [Action] {
        guard var worker = workers[crashID], page.kind != .none, worker.startedCaptures.insert(page.sequence).inserted
        else { return [] }
        worker.activeJobs += 1
        worker.hasFatalJob = worker.hasFatalJob || page.kind == .fatal
        activeJobs += 1
        workers[crashID] = worker
        return [
            .start(
                Job(
                    crashID: crashID, source: source, isFatal: page.kind == .fatal,
                    isResumed: source != .exit && worker.resumedCapture == page.sequence))
        ]
    }

    private mutating func forget(_ crashID: String) -> Action {
        workers[crashID] = nil
        return .forget(crashID: crashID)
    }
}
