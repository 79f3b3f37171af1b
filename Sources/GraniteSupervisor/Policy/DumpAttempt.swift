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
        if let capture, request.isAnswered(by: capture) { isCaptured = true }
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
            lastAsked = now
            return .ask(threads: .all)
        }
        guard now - lastAsked >= Self.repeatAfter else { return nil }
        lastAsked = now
        return .ask(threads: hasAskedAll ? .all : .one(thread))
    }
}
