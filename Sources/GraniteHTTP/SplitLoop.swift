// Defines the event loop's life on a thread of its own, with the application elsewhere. Separate: both drivers run it.

import CLinux
import Glibc

/// Drives the loop while application threads answer. The driver's I/O thread only.
struct SplitLoop {
    /// How the loop's ownership ends.
    enum Ending {
        /// The application thread may have the loop: nothing is outstanding.
        case handedBack
        /// Stopped, and the last connection is closed.
        case finished
    }

    /// While requests are outstanding the loop looks for answers this often, and is spared a signal per answer.
    private static let pollNanoseconds: Int64 = 100_000
    /// After this many looks in vain it sleeps until it is signalled: a slow application costs no polling.
    private static let fruitlessPolls = 20
    /// How long new requests are held back for the loop to become free of outstanding ones.
    private static let handBackLimitNanoseconds: UInt64 = 2_000_000

    let loop: EventLoop
    let handoff: any Handoff

    /// - Parameter mayHandBack: asked while requests are outstanding or none are; true starts the hand-back.
    func run(mayHandBack: () -> Bool) -> Ending {
        var polls = 0
        var handBackSince: UInt64?
        var handBackBarredUntil: UInt64 = 0
        loop.handleEvents()
        while true {
            if handBackSince == nil && loop.now >= handBackBarredUntil && mayHandBack() { handBackSince = loop.now }
            if let since = handBackSince {
                if loop.outstanding == 0 && loop.pendingEvents == 0 { return .handedBack }
                if loop.now &- since > Self.handBackLimitNanoseconds {
                    handBackSince = nil
                    handBackBarredUntil = loop.now + 100_000_000
                }
            }
            if handBackSince == nil { dispatch() }
            loop.tickIfDue()
            if loop.isFinished { return .finished }
            let events = wait(polls: polls, handingBack: handBackSince != nil)
            loop.handleEvents()
            polls = events + collect() > 0 ? 0 : polls + 1
        }
    }

    private func dispatch() {
        while loop.outstanding < loop.configuration.backpressure, let connection = loop.popReady() {
            loop.dispatched(connection)
            handoff.submit(.connection(Unmanaged.passUnretained(connection)))
        }
    }

    private func collect() -> Int {
        var count = 0
        while let answered = handoff.popCompleted() {
            answered._withUnsafeGuaranteedRef { loop.finished($0) }
            count += 1
        }
        return count
    }

    private func wait(polls: Int, handingBack: Bool) -> Int {
        let timed = loop.outstanding > 0 && (polls < Self.fruitlessPolls || handingBack)
        handoff.loopParker.announce(timed: timed)
        let limit: Int64? = !handoff.hasNoneCompleted ? 0 : timed ? Self.pollNanoseconds : nil
        loop.wait(nanoseconds: limit, heldBack: handingBack || loop.outstanding >= loop.configuration.backpressure)
        _ = handoff.loopParker.retract()
        return loop.pendingEvents
    }
}
