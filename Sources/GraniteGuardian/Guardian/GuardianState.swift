// Defines what the guardian does when: which processes it follows, when run may end, when the collector and the guardian itself do. Pure:
// events in, actions out; Guardian performs them.

package struct GuardianState: Sendable {
    package struct Limits: Sendable {
        /// Processes that live at the same time.
        package var processes = 1024
        /// How long the reports of a process are waited for after its end, and by run after the end of its program, in nanoseconds.
        package var settling: UInt64 = 10_000_000_000
        /// How long a process may take to say hello after the last one has ended: a daemon's parent ends first.
        package var grace: UInt64 = 2_000_000_000
        /// Captures that one process is waited for; its page may claim any number.
        package var captures = 16

        package init() {}
    }

    /// How a process ended.
    package struct End: Sendable, Equatable {
        /// nil: the image was replaced by execve(2).
        package var evidence: EndEvidence?
        /// How many captures the page tells of, the fatal one included.
        package var captures: Int

        package init(evidence: EndEvidence?, captures: Int) {
            self.evidence = evidence
            self.captures = captures
        }
    }

    package enum Event: Sendable, Equatable {
        case hello(crashID: String)
        case ended(crashID: String, End)
        /// A report was stored, or could not be.
        case answered(crashID: String)
        /// A collector has no more to say.
        case collectorEnded(Int)
        /// run says that its program has ended.
        case programEnded
        /// run itself is gone.
        case runGone
    }

    package enum Action: Sendable, Equatable {
        case startCollector(Int)
        /// Hand the process over to that collector.
        case watch(crashID: String, collector: Int)
        /// There are too many.
        case refuse(crashID: String)
        /// Tell the collector of the end.
        case tellEnd(crashID: String, waitStatus: Int32, isOrdinary: Bool, collector: Int)
        /// Nothing more will come of it.
        case forget(crashID: String)
        /// Let that collector finish.
        case closeCollector(Int)
        /// Tell run that it may end.
        case settle
        case stop
    }

    private struct Process: Sendable {
        var collector: Int
        var answers = 0
        /// Answers that are still to come; nil while it lives.
        var missing: Int?
        /// nil while it lives.
        var endedAt: UInt64?
    }

    private let limits: Limits
    private let reportsExits: Bool
    private var processes: [String: Process] = [:]
    private var living = 0
    private var collector: Int?
    private var closing: Set<Int> = []
    private var collectorsStarted = 0
    private var programEnded: UInt64?
    private var hasSettled = false
    private var isRunGone = false
    private var lastEnd: UInt64

    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds; so are all others.
    package init(limits: Limits = Limits(), reportsExits: Bool = false, now: UInt64) {
        self.limits = limits
        self.reportsExits = reportsExits
        lastEnd = now
    }

    package mutating func handle(_ event: Event, now: UInt64) -> [Action] {
        switch event {
        case .hello(let crashID): return greet(crashID)
        case .ended(let crashID, let end): return bury(crashID, end, now)
        case .answered(let crashID): return take(crashID)
        case .collectorEnded(let number):
            closing.remove(number)
            if collector == number { collector = nil }
            let gone = processes.filter { $0.value.collector == number && $0.value.missing != nil }.map(\.key)
            for crashID in gone { processes[crashID] = nil }
            return gone.sorted().map { .forget(crashID: $0) }
        case .programEnded:
            programEnded = programEnded ?? now
            return []
        case .runGone:
            isRunGone = true
            programEnded = programEnded ?? now
            return []
        }
    }

    /// What is to be done because of the time, and because all events that had come are handled.
    package mutating func tick(now: UInt64) -> [Action] {
        var actions = forgetOverdue(now)
        guard let programEnded else { return actions }
        if !hasSettled, now >= programEnded &+ limits.settling || processes.values.allSatisfy({ $0.missing == nil }) {
            hasSettled = true
            actions.append(.settle)
        }
        // It then finishes its jobs and says so by ending.
        if living == 0, let number = collector {
            collector = nil
            closing.insert(number)
            actions.append(.closeCollector(number))
        }
        if isRunGone, living == 0, closing.isEmpty, now >= lastEnd &+ limits.grace { actions.append(.stop) }
        return actions
    }

    /// When ``tick(now:)`` has something to do though nothing happens; nil: never.
    package var deadline: UInt64? {
        let overdue = processes.values.compactMap(\.endedAt).min().map { $0 &+ limits.settling }
        return [overdue, ownDeadline].compactMap { $0 }.min()
    }

    /// Of run and of the guardian itself.
    private var ownDeadline: UInt64? {
        guard let programEnded else { return nil }
        if !hasSettled { return programEnded &+ limits.settling }
        return isRunGone && living == 0 && closing.isEmpty ? lastEnd &+ limits.grace : nil
    }

    private mutating func greet(_ crashID: String) -> [Action] {
        guard living < limits.processes, processes[crashID] == nil else { return [.refuse(crashID: crashID)] }
        var actions: [Action] = []
        let number: Int
        if let collector {
            number = collector
        } else {
            collectorsStarted += 1
            number = collectorsStarted
            collector = number
            actions.append(.startCollector(number))
        }
        processes[crashID] = Process(collector: number)
        living += 1
        return actions + [.watch(crashID: crashID, collector: number)]
    }

    private mutating func bury(_ crashID: String, _ end: End, _ now: UInt64) -> [Action] {
        guard var process = processes[crashID], process.missing == nil else { return [] }
        living -= 1
        lastEnd = now
        let isOrdinary = end.evidence?.isOrdinary(reportsExits: reportsExits) ?? true
        let isReportedWithout = !isOrdinary && end.evidence?.fatalSignal == nil
        let expected = min(max(0, end.captures), limits.captures) + (isReportedWithout ? 1 : 0)
        // Who is gone answers no more.
        let isHeard = process.collector == collector || closing.contains(process.collector)
        process.missing = isHeard ? max(0, expected - process.answers) : 0
        process.endedAt = now
        processes[crashID] = process
        let told = Action.tellEnd(
            crashID: crashID, waitStatus: end.evidence?.waitStatus ?? 0, isOrdinary: isOrdinary,
            collector: process.collector)
        return [told] + forgetIfDone(crashID)
    }

    private mutating func take(_ crashID: String) -> [Action] {
        guard var process = processes[crashID] else { return [] }
        process.answers += 1
        process.missing = process.missing.map { max(0, $0 - 1) }
        processes[crashID] = process
        return forgetIfDone(crashID)
    }

    /// A page may claim captures that nobody hears of, and a program may run for ever.
    private mutating func forgetOverdue(_ now: UInt64) -> [Action] {
        let overdue = processes.filter { $0.value.endedAt.map { now >= $0 &+ limits.settling } ?? false }.map(\.key)
        for crashID in overdue { processes[crashID] = nil }
        return overdue.sorted().map { .forget(crashID: $0) }
    }

    private mutating func forgetIfDone(_ crashID: String) -> [Action] {
        guard processes[crashID]?.missing == 0 else { return [] }
        processes[crashID] = nil
        return [.forget(crashID: crashID)]
    }
}
