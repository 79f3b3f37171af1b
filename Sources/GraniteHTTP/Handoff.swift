// Defines how requests reach application threads and come back: two rings for one thread, a locked queue for several.
// Separate from the drivers, so that the rule when to make a system call stands in one place.

import CLinux
import Glibc
import Synchronization

/// What changes threads: a connection, or word that there are no more.
enum HandoffItem {
    case connection(Unmanaged<Connection>)
    /// The loop is the application thread's again.
    case takeLoop
    /// No more requests will come.
    case end

    // Addresses below a page are no objects.
    private static let takeLoopBits = 1
    private static let endBits = 2

    @inline(__always)
    init(_ pointer: UnsafeMutableRawPointer) {
        switch Int(bitPattern: pointer) {
        case Self.takeLoopBits: self = .takeLoop
        case Self.endBits: self = .end
        default: self = .connection(Unmanaged.fromOpaque(pointer))
        }
    }

    @inline(__always)
    var pointer: UnsafeMutableRawPointer {
        switch self {
        case .connection(let connection): connection.toOpaque()
        case .takeLoop: UnsafeMutableRawPointer(bitPattern: Self.takeLoopBits)!  // not zero
        case .end: UnsafeMutableRawPointer(bitPattern: Self.endBits)!  // not zero
        }
    }
}

/// Between the loop's thread and the application threads.
protocol Handoff: AnyObject, Sendable {
    /// Loop: hands a request over, and wakes a thread that sleeps.
    func submit(_ item: HandoffItem)
    /// Loop: the next answered request.
    func popCompleted() -> Unmanaged<Connection>?
    /// Loop, after announcing its sleep: whether nothing is answered.
    var hasNoneCompleted: Bool { get }
    /// The loop's sleep.
    var loopParker: Parker { get }
    /// Application: the next request, if there is one now.
    func take() -> HandoffItem?
    /// Application: sleeps until there may be one.
    func waitForItem()
    /// Application: the request is answered; wakes the loop if it sleeps and should not.
    func complete(_ connection: Unmanaged<Connection>)
}

/// With fewer requests than this queued the application thread signals the loop at once; with more it leaves it to the
/// loop's timer, for a system call per answer costs more than it gains (research/flask-throughput-prototype: LOW=3).
private let signalsBelow = 3

func signal(eventDescriptor: Int32) {
    var one: UInt64 = 1
    _ = write(eventDescriptor, &one, 8)
}

/// For one application thread: two rings, no lock.
final class SingleHandoff: Handoff {
    private let requests: Ring
    private let answers: Ring
    private let applicationParker = Parker()
    let loopParker = Parker()
    private let wakeDescriptor: Int32
    // A semaphore of C is shared by design; freed with the last reference.
    private nonisolated(unsafe) let semaphore = granite_semaphore_create()

    init(capacity: Int, wakeDescriptor: Int32) {
        // Two more than may be under way: takeLoop and end.
        requests = Ring(capacity: capacity + 2)
        answers = Ring(capacity: capacity + 2)
        self.wakeDescriptor = wakeDescriptor
    }

    deinit { granite_semaphore_destroy(semaphore) }

    func submit(_ item: HandoffItem) {
        requests.push(item.pointer)
        if applicationParker.shouldSignal(early: true) { granite_semaphore_post(semaphore) }
    }

    func popCompleted() -> Unmanaged<Connection>? { answers.pop().map { Unmanaged.fromOpaque($0) } }

    var hasNoneCompleted: Bool { answers.isEmptyAfterAnnouncement }

    func take() -> HandoffItem? { requests.pop().map(HandoffItem.init) }

    func waitForItem() {
        applicationParker.announce(timed: false)
        if requests.isEmptyAfterAnnouncement {
            granite_semaphore_wait(semaphore)
        } else if applicationParker.retract() {
            // A waker was first: take its signal, or the next sleep would end at once.
            granite_semaphore_wait(semaphore)
        }
    }

    func complete(_ connection: Unmanaged<Connection>) {
        answers.push(connection.toOpaque())
        if loopParker.shouldSignal(early: requests.count < signalsBelow) { signal(eventDescriptor: wakeDescriptor) }
    }
}

/// For several application threads: the longest waiting request goes to the first free thread.
final class SharedHandoff: Handoff {
    private struct Queues {
        var requests: [UnsafeMutableRawPointer] = []
        var next = 0
        var answers: [Unmanaged<Connection>] = []
        var sleepers = 0
    }

    // Connections change threads inside the lock, which orders what was written before with what is read after.
    private let queues = Mutex(SendableQueues())
    /// Answers that the loop has taken out of the lock, last first. The loop's alone.
    private nonisolated(unsafe) var taken: [Unmanaged<Connection>] = []
    private let answered = Atomic<Int>(0)
    let loopParker = Parker()
    private let wakeDescriptor: Int32
    private nonisolated(unsafe) let semaphore = granite_semaphore_create()  // shared by design

    private struct SendableQueues: @unchecked Sendable { var value = Queues() }  // only ever touched inside the Mutex

    init(wakeDescriptor: Int32) { self.wakeDescriptor = wakeDescriptor }

    deinit { granite_semaphore_destroy(semaphore) }

    func submit(_ item: HandoffItem) {
        let bits = UInt(bitPattern: item.pointer)
        let wakes = queues.withLock { queues in
            // Not zero: items never are.
            queues.value.requests.append(UnsafeMutableRawPointer(bitPattern: bits)!)
            if queues.value.sleepers == 0 { return false }
            queues.value.sleepers -= 1
            return true
        }
        if wakes { granite_semaphore_post(semaphore) }
    }

    func popCompleted() -> Unmanaged<Connection>? {
        if let connection = taken.popLast() { return connection }
        if answered.load(ordering: .acquiring) == 0 { return nil }
        let batch = queues.withLock { queues in
            let batch = SendableBatch(value: queues.value.answers)
            queues.value.answers = []
            answered.store(0, ordering: .releasing)
            return batch
        }
        taken = batch.value.reversed()
        return taken.popLast()
    }

    // Leaves the lock for the loop's thread.
    private struct SendableBatch: @unchecked Sendable { var value: [Unmanaged<Connection>] }

    var hasNoneCompleted: Bool { taken.isEmpty && answered.load(ordering: .sequentiallyConsistent) == 0 }

    func take() -> HandoffItem? {
        let bits = queues.withLock { queues -> UInt in
            if queues.value.next == queues.value.requests.count { return 0 }
            let pointer = queues.value.requests[queues.value.next]
            queues.value.next += 1
            if queues.value.next == queues.value.requests.count {
                queues.value.requests.removeAll(keepingCapacity: true)
                queues.value.next = 0
            } else if queues.value.next >= 1024 {
                queues.value.requests.removeFirst(queues.value.next)
                queues.value.next = 0
            }
            return UInt(bitPattern: pointer)
        }
        return UnsafeMutableRawPointer(bitPattern: bits).map(HandoffItem.init)
    }

    func waitForItem() {
        let sleeps = queues.withLock { queues in
            if queues.value.next < queues.value.requests.count { return false }
            queues.value.sleepers += 1
            return true
        }
        if sleeps { granite_semaphore_wait(semaphore) }
    }

    func complete(_ connection: Unmanaged<Connection>) {
        let bits = UInt(bitPattern: connection.toOpaque())
        let queued = queues.withLock { queues in
            // An object's address.
            queues.value.answers.append(Unmanaged.fromOpaque(UnsafeRawPointer(bitPattern: bits)!))
            answered.store(queues.value.answers.count, ordering: .sequentiallyConsistent)
            return queues.value.requests.count - queues.value.next
        }
        if loopParker.shouldSignal(early: queued < signalsBelow) { signal(eventDescriptor: wakeDescriptor) }
    }
}
