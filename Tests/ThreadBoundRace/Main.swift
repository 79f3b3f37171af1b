// Values that belong to threads under all the races that the Thread Sanitizer shall look at: handed home while owners make, use, drain and
// end. It is a program of its own, because a build under the sanitizer must be short; Tests/tsan runs it.

import Glibc
import GraniteCapture
import Synchronization

/// What became of the values of one scenario.
private final class Ledger: Sendable {
    let owners = Atomic<Int>(threads)
    let made = Atomic<Int>(0)
    let released = Atomic<Int>(0)
    let releasedAtHome = Atomic<Int>(0)
    let refused = Atomic<Int>(0)

    var areAllReleased: Bool { made.load(ordering: .acquiring) == released.load(ordering: .acquiring) }
    var areAllReleasedAtHome: Bool { made.load(ordering: .acquiring) == releasedAtHome.load(ordering: .acquiring) }
}

private final class Witness: @unchecked Sendable {  // used by its owner, and then by whoever releases it
    private let ledger: Ledger
    private let owner = Capture.threadID
    /// Written without a lock: the race, if the way home has one.
    private var uses = [0]

    init(_ ledger: Ledger) {
        self.ledger = ledger
        ledger.made.add(1, ordering: .relaxed)
    }

    func use() { uses.append(uses.count) }

    deinit {
        uses.removeAll()
        if owner == Capture.threadID { ledger.releasedAtHome.add(1, ordering: .acquiringAndReleasing) }
        ledger.released.add(1, ordering: .acquiringAndReleasing)
    }
}

/// Carries values to threads that do not own them. Correct as a queue: what is wrong is only who releases.
private final class Passage: @unchecked Sendable {  // the list is touched under the lock
    private var list: [ThreadBound<Witness>] = []
    /// Of pthread: the sanitizer sees no Mutex of Swift.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init() { pthread_mutex_init(lock, nil) }

    deinit { lock.deallocate() }

    private func withList<Result>(_ body: (inout [ThreadBound<Witness>]) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(&list)
    }

    func put(_ value: ThreadBound<Witness>) { withList { $0.append(value) } }

    /// Releases one here, after a look at it.
    func dropOne(_ ledger: Ledger) {
        guard let value = withList({ $0.popLast() }) else { return }
        do { try value.withValue { $0.use() } } catch { ledger.refused.add(1, ordering: .relaxed) }
    }

    func dropAll() {
        _ = withList { list in
            defer { list = [] }
            return list
        }
    }
}

private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Runs `count` times `one`, and `other`, each on a thread of its own, to their ends.
private func together(
    _ count: Int, _ one: @escaping @Sendable () -> Void, and other: @escaping @Sendable () -> Void = {}
) {
    let threads = ([@Sendable () -> Void](repeating: one, count: count) + [other]).map { body in
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            {
                Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run()  // passed in the next line
                return nil
            }, Unmanaged.passRetained(Body(body)).toOpaque())
        return thread
    }
    for thread in threads { pthread_join(thread, nil) }
}

private let values = 300
private let threads = 3

/// Owners make values and drain while others drop them, until all are home.
private func ownersWithALoop() -> Bool {
    let (ledger, passage) = (Ledger(), Passage())
    together(threads) {
        for _ in 0..<values {
            passage.put(ThreadBound(Witness(ledger), label: "raced"))
            ThreadBound.drainHomebound()
        }
        ledger.owners.subtract(1, ordering: .acquiringAndReleasing)
        while ledger.owners.load(ordering: .acquiring) > 0 || !ledger.areAllReleased {
            ThreadBound.drainHomebound()
            passage.dropOne(ledger)
            sched_yield()
        }
    } and: {
        while ledger.owners.load(ordering: .acquiring) > 0 || !ledger.areAllReleased { passage.dropOne(ledger) }
    }
    return ledger.made.load(ordering: .relaxed) == threads * values
        && (ThreadBoundPolicy.current != .report || ledger.areAllReleasedAtHome)
}

/// Owners that end while their values are on the way: each value is released once, wherever.
private func ownersThatEnd() -> Bool {
    let (ledger, passage) = (Ledger(), Passage())
    for _ in 0..<20 {
        together(threads) {
            for _ in 0..<10 { passage.put(ThreadBound(Witness(ledger), label: "orphan")) }
        } and: {
            for _ in 0..<20 { passage.dropOne(ledger) }
        }
    }
    passage.dropAll()
    return ledger.made.load(ordering: .relaxed) == 20 * 10 * threads && ledger.areAllReleased
}

/// Nothing goes wrong: all on their own threads.
private func ownersAlone() -> Bool {
    let ledger = Ledger()
    together(threads) {
        for _ in 0..<values {
            let value = ThreadBound(Witness(ledger), label: "alone")
            do { try value.withValue { $0.use() } } catch { ledger.refused.add(1, ordering: .relaxed) }
        }
    }
    return ledger.areAllReleasedAtHome && ledger.refused.load(ordering: .relaxed) == 0
}

/// Each use elsewhere is refused, and touches nothing.
private func usersElsewhere() -> Bool {
    let ledger = Ledger()
    nonisolated(unsafe) let value = ThreadBound(Witness(ledger), label: "contended")
    together(threads) {
        for _ in 0..<values {
            do { try value.withValue { $0.use() } } catch { ledger.refused.add(1, ordering: .relaxed) }
        }
    }
    return ledger.refused.load(ordering: .relaxed) == threads * values
}

@main
enum Race {
    static func main() throws {
        if CommandLine.arguments.contains("--page") { try Capture.install(.init(level: .off)) }
        let scenarios: [(String, () -> Bool)] = [
            ("values handed to owners with a loop are released by them", ownersWithALoop),
            ("values of owners that end are released once", ownersThatEnd),
            ("values that stay at home are released there", ownersAlone),
            ("uses elsewhere are refused", usersElsewhere),
        ]
        var failed = 0
        for (claim, holds) in scenarios where !holds() {
            print("✘ \(claim): not so")
            failed += 1
        }
        print("\(scenarios.count - failed) passed, \(failed) failed")
        exit(failed == 0 ? 0 : 1)
    }
}
