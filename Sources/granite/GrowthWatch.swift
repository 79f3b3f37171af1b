// Counts Python's objects when memory grows, and reports what there is more of. On a thread of its own: the event loop must not wait for
// the GIL, which the application may hold for long.

import CLinux
import Glibc
import GraniteCapture
import GraniteReport
import GraniteSupervisor
import GraniteWSGI
import Synchronization

/// What the policy wants, done.
// `policy` and `isStarted` are the heartbeat's, `baseline` is the counting thread's.
final class GrowthWatch: @unchecked Sendable {
    /// At most so many types are named in a report.
    private static let maxTypes = 12
    private static let closeNanoseconds: Int64 = 5_000_000_000

    private struct Job: Sendable {
        let action: GrowthPolicy.Action
        let sample: GrowthPolicy.Sample
    }

    private struct Jobs {
        var waiting: [Job] = []
        var isClosing = false
    }

    private let interpreter: PythonInterpreter
    private let tracked: TrackedObjects?
    private let maxRSSBytes: UInt64
    private var policy: GrowthPolicy
    private var isStarted = false
    private let jobs = Mutex(Jobs())
    // Semaphores of C are shared by design. They live as long as the process, as the thread may.
    private nonisolated(unsafe) let wake = granite_semaphore_create()
    private nonisolated(unsafe) let closed = granite_semaphore_create()
    /// Of the counting thread alone.
    private var baseline: (census: TypeCensus, sample: GrowthPolicy.Sample)?

    /// With the GIL free, when the application is loaded.
    init(_ interpreter: PythonInterpreter, maxRSSBytes: UInt64) {
        self.interpreter = interpreter
        tracked = TrackedObjects(interpreter)
        self.maxRSSBytes = maxRSSBytes
        policy = GrowthPolicy(maxRSSBytes: maxRSSBytes)
    }

    /// By the heartbeat, about once a second. Returns how many objects Python's collector tracks, 0 if that is not known.
    func observe(nanoseconds: UInt64, residentBytes: UInt64) -> UInt64 {
        let objects = tracked?.count ?? 0
        let sample = GrowthPolicy.Sample(
            seconds: Double(nanoseconds) / 1e9, residentBytes: residentBytes, objects: objects)
        let actions = policy.observe(sample)
        guard !actions.isEmpty, startOnce() else { return objects }
        jobs.withLock { $0.waiting += actions.map { Job(action: $0, sample: sample) } }
        granite_semaphore_post(wake)
        return objects
    }

    /// Waits for the census that is being taken: Python must not end meanwhile.
    func close() {
        guard isStarted else { return }
        jobs.withLock { $0 = Jobs(isClosing: true) }
        granite_semaphore_post(wake)
        _ = granite_semaphore_wait_for(closed, Self.closeNanoseconds)
    }

    /// False: the system has no thread for us, and memory is watched by nobody.
    private func startOnce() -> Bool {
        if isStarted { return true }
        var thread: UInt = 0
        let this = Unmanaged.passRetained(self)
        // The closure takes back the reference passed to it.
        isStarted =
            granite_thread_start(
                &thread, "growth-watch", { Unmanaged<GrowthWatch>.fromOpaque($0!).takeRetainedValue().work() },
                this.toOpaque()) == 0
        if !isStarted { this.release() }
        return isStarted
    }

    // MARK: - The counting thread

    private func work() {
        while true {
            granite_semaphore_wait(wake)
            let (waiting, isClosing) = jobs.withLock { jobs in
                defer { jobs.waiting = [] }
                return (jobs.waiting, jobs.isClosing)
            }
            if isClosing { return granite_semaphore_post(closed) }
            for job in waiting { perform(job) }
        }
    }

    private func perform(_ job: Job) {
        switch job.action {
        case .takeBaseline: baseline = interpreter.takeCensus().map { ($0, job.sample) }
        case .report(let cause):
            if let baseline, let census = interpreter.takeCensus() {
                report(cause, since: baseline, now: (census, job.sample))
            }
            baseline = nil
        case .tellOutgrown:
            WorkerStatus.outgrown(rssBytes: job.sample.residentBytes, limitBytes: maxRSSBytes).send()
        }
    }

    private func report(
        _ cause: GrowthPolicy.Cause, since before: (census: TypeCensus, sample: GrowthPolicy.Sample),
        now: (census: TypeCensus, sample: GrowthPolicy.Sample)
    ) {
        let seconds = now.sample.seconds - before.sample.seconds
        let full = now.census.fullCollections(since: before.census)
        let message =
            "memory grew from \(Quantity.memory(before.sample.residentBytes)) to"
            + " \(Quantity.memory(now.sample.residentBytes)) in \(Quantity.duration(seconds: seconds) ?? "a while"), over"
            + " \(Quantity.count(full, "full collection"))"
        // One kind a cause: the same growth again within ten minutes is only counted.
        Capture.count(
            .growth, fingerprint: cause == .maxRSS ? 0x6d61_7852_5353 : 0x6265_6869_6e64, subject: "memory",
            message: message
        ) {
            var lines = [
                "cause=\(cause.name(fullCollections: full))",
                "rss=\(before.sample.residentBytes) \(now.sample.residentBytes)",
                "grown_over=\((seconds * 100).rounded() / 100)",
            ]
            lines += now.census.growth(since: before.census, atMost: Self.maxTypes).map {
                "grown=\($0.before) \($0.now) \($0.type)"
            }
            return lines.map { $0 + "\n" }.joined()
        }
    }
}
