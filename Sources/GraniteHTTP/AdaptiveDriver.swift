// Defines the driver for one application thread: it owns the event loop while the application is fast, and lends it to
// a helper thread while it is slow. Separate from the loop: here is who runs it.

import CLinux
import GraniteExchange
import Synchronization

/// The application always runs on the thread that called ``run()``, one request at a time; only the loop changes
/// threads.
///
/// The loop's ownership is the word `owner`: the application thread has it while inline; it is for the taking while the
/// thread is inside the application; and the helper's once taken or given. Every change is a release that the next
/// owner acquires.
// `loop` and `policy` are the owner's, `runner` the application thread's.
final class AdaptiveDriver: WaitObserver, @unchecked Sendable {
    private enum Owner {
        static let application: UInt32 = 0
        /// The application thread is inside the application: the loop waits with it, unless the helper takes it.
        static let forTheTaking: UInt32 = 1
        static let helper: UInt32 = 2
    }

    /// Requests answered under one `enter`.
    private static let batch = 64
    /// A call that lasts longer than one to two of these loses the loop to the helper.
    private static let watchNanoseconds: Int64 = 5_000_000
    private static let idleWatchNanoseconds: Int64 = 100_000_000

    private let loop: EventLoop
    private let handoff: SingleHandoff
    private let application: any Application
    private let observer: (any ExchangeObserver)?
    private var policy: ModePolicy
    private let owner = Atomic<UInt32>(Owner.application)
    private let calls = Atomic<UInt64>(0)
    private let average = Atomic<UInt64>(0)
    private let isOver = Atomic<Bool>(false)
    private nonisolated(unsafe) let lent = granite_semaphore_create()  // shared by design

    init(loop: EventLoop, application: any Application, observer: (any ExchangeObserver)?) {
        self.loop = loop
        self.application = application
        self.observer = observer
        policy = ModePolicy(prefersInline: loop.configuration.preferInline)
        handoff = SingleHandoff(capacity: loop.configuration.backpressure, wakeDescriptor: loop.wakeDescriptor)
    }

    deinit { granite_semaphore_destroy(lent) }

    /// Serves until stopped, on the calling thread and a helper.
    func run() throws(HTTPServerError) {
        let helper = try ServerThread(name: "http-io") { [self] in help() }
        let runner = ApplicationRunner(application: application, observer: observer, index: 0, waiting: self)
        var serving = true
        while serving {
            serving = serveInline(runner) && serveSplit(runner)
        }
        runner.close()
        isOver.store(true, ordering: .releasing)
        granite_semaphore_post(lent)
        helper.join()
    }

    // MARK: - The application thread

    /// Returns true when the loop is the helper's now, false when the server has stopped.
    private func serveInline(_ runner: ApplicationRunner) -> Bool {
        var served = 0
        while true {
            guard let connection = loop.nextReady() else {
                runner.leave()
                if policy.shouldSplit {
                    lend()
                    return true
                }
                loop.tickIfDue()
                if loop.isFinished { return false }
                loop.wait(nanoseconds: nil, heldBack: false)
                served = 0
                continue
            }
            if served == Self.batch {
                runner.leave()
                served = 0
            }
            served += 1
            runner.enter()
            loop.dispatched(connection)
            calls.store(calls.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            owner.store(Owner.forTheTaking, ordering: .releasing)
            note(runner.answer(connection))
            if !changeOwner(from: Owner.forTheTaking, to: Owner.application) {
                // The helper has the loop: from here on nothing of it may be touched.
                runner.leave()
                handoff.complete(Unmanaged.passUnretained(connection))
                return true
            }
            loop.finished(connection)
        }
    }

    /// Returns true when the loop has come back, false when the server has stopped.
    private func serveSplit(_ runner: ApplicationRunner) -> Bool {
        var served = 0
        while true {
            guard let item = handoff.take() else {
                runner.leave()
                served = 0
                handoff.waitForItem()
                continue
            }
            switch item {
            case .connection(let connection):
                if served == Self.batch {
                    runner.leave()
                    served = 0
                }
                served += 1
                runner.enter()
                note(connection._withUnsafeGuaranteedRef { runner.answer($0) })
                handoff.complete(connection)
            case .takeLoop:
                runner.leave()
                // The ring's acquire has made the helper's last writes ours.
                owner.store(Owner.application, ordering: .relaxed)
                return true
            case .end:
                runner.leave()
                return false
            }
        }
    }

    private func note(_ nanoseconds: UInt64) {
        policy.note(nanoseconds: nanoseconds)
        average.store(policy.averageNanoseconds, ordering: .relaxed)
    }

    /// Gives the loop to the helper; it is the application thread's and not inside the application.
    private func lend() {
        owner.store(Owner.helper, ordering: .releasing)
        granite_semaphore_post(lent)
    }

    /// The response waits for its client: the others must not.
    func applicationThreadWillWait() {
        if changeOwner(from: Owner.forTheTaking, to: Owner.helper) { granite_semaphore_post(lent) }
    }

    private func changeOwner(from old: UInt32, to new: UInt32) -> Bool {
        owner.compareExchange(expected: old, desired: new, ordering: .acquiringAndReleasing).exchanged
    }

    // MARK: - The helper thread

    private func help() {
        var seen: UInt64 = 0
        var interval = Self.idleWatchNanoseconds
        while true {
            let isPosted = granite_semaphore_wait_for(lent, interval) != 0
            if isOver.load(ordering: .acquiring) { return }
            if isPosted {
                _ = owner.load(ordering: .acquiring)
                runLoop()
            } else {
                // The same call as at the last look: it has lasted at least one interval.
                let current = calls.load(ordering: .relaxed)
                let isStuck = current == seen && owner.load(ordering: .relaxed) == Owner.forTheTaking
                if isStuck && changeOwner(from: Owner.forTheTaking, to: Owner.helper) { runLoop() }
                interval = current == seen && !isStuck ? Self.idleWatchNanoseconds : Self.watchNanoseconds
                seen = current
            }
        }
    }

    private func runLoop() {
        let prefersInline = loop.configuration.preferInline
        let ending = SplitLoop(loop: loop, handoff: handoff).run {
            ModePolicy.shouldJoin(averageNanoseconds: average.load(ordering: .relaxed), prefersInline: prefersInline)
        }
        handoff.submit(ending == .finished ? .end : .takeLoop)
    }
}
