// Defines how one capture of a live worker is asked for and waited for: which threads, for how long, what an end means. Pure.

import GraniteCrashChannel

/// From the signal to the report, or to the reason why there is none.
struct DumpAttempt: Sendable {
    enum Action: Sendable, Equatable {
        case ask(threads: Threads)
        /// No thread answers.
        case unanswered
        /// The capture began, but its report did not come.
        case unreported
    }

    enum Threads: Sendable, Equatable {
        case one(Int32)
        case all
    }

    /// A thread that is blocked in the kernel takes no signal: the others are asked then, for what they see.
    static let askAllAfter = Duration.seconds(1)
    /// Another capture may hold the gate when the signal comes.
    static let repeatAfter = Duration.milliseconds(200)

    let request: DumpRequest
    let thread: Int32
    private let begun: ContinuousClock.Instant
    private var lastAsked: ContinuousClock.Instant
    private var hasAskedAll = false
    /// The capture that the page showed when it was asked last.
    private var sequenceWhenAsked: UInt32?
    /// Another capture was seen since it was asked last: it may have held the gate.
    private var wasDisturbed = false
    private(set) var isCaptured = false
    private var isOver = false

    /// Begins: the driver asks ``thread`` at once.
    init(_ request: DumpRequest, thread: Int32, now: ContinuousClock.Instant) {
        self.request = request
        self.thread = thread
        begun = now
        lastAsked = now
    }

    /// - Parameter capture: what the page says now.
    mutating func advance(now: ContinuousClock.Instant, capture: CrashPage.Capture?) -> Action? {
        if isOver { return nil }
        notice(capture)
        if isCaptured {
            guard now - begun >= .seconds(ServerSocket.answerSeconds + ServerSocket.reportSeconds) else { return nil }
            isOver = true
            return .unreported
        }
        if now - begun >= .seconds(ServerSocket.answerSeconds) {
            isOver = true
            return .unanswered
        }
        if now - begun >= Self.askAllAfter, !hasAskedAll {
            hasAskedAll = true
            return ask(.all, now, capture)
        }
        // A signal that waits for its thread waits as well as two: the user's queue of signals is bounded.
        guard now - lastAsked >= Self.repeatAfter, !hasAskedAll || wasDisturbed else { return nil }
        return ask(hasAskedAll ? .all : .one(thread), now, capture)
    }

    /// Looks whether the page shows the answer.
    mutating func notice(_ capture: CrashPage.Capture?) {
        guard let capture else { return }
        if request.isAnswered(by: capture) {
            isCaptured = true
        } else {
            let isRunning = capture.stage > .idle && capture.stage < .finished
            if isRunning || capture.sequence != sequenceWhenAsked ?? capture.sequence { wasDisturbed = true }
            sequenceWhenAsked = sequenceWhenAsked ?? capture.sequence
        }
    }

    private mutating func ask(_ threads: Threads, _ now: ContinuousClock.Instant, _ capture: CrashPage.Capture?)
        -> Action
    {
        lastAsked = now
        sequenceWhenAsked = capture?.sequence
        wasDisturbed = false
        return .ask(threads: threads)
    }
}
