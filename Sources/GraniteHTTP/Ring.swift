// Defines the single-producer, single-consumer ring over which requests and answers change threads.
// Separate: its memory ordering is the one thing to check here (research: release publishes the slot, acquire takes it
// over).

import Synchronization

/// A bounded queue between exactly two threads. What is pushed is published: everything written before the push is seen
/// after the pop.
// The producer alone touches tail and headSeen, the consumer head and tailSeen; slots change hands by tail.
final class Ring: @unchecked Sendable {
    private let slots: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private let mask: Int
    // The two sides are 128 bytes apart, so that neither's stores take the other's cache line (128: lines are fetched
    // in pairs).
    private let padding0 = InlineArray<16, UInt64>(repeating: 0)
    private let tail = Atomic<Int>(0)
    private let padding1 = InlineArray<16, UInt64>(repeating: 0)
    private let head = Atomic<Int>(0)
    private var tailSeen = 0
    private let padding2 = InlineArray<16, UInt64>(repeating: 0)

    /// - Parameter capacity: rounded up to a power of two; the producer never has more under way.
    init(capacity: Int) {
        var size = 16
        while size < capacity { size *= 2 }
        slots = .allocate(capacity: size)
        mask = size - 1
    }

    deinit { slots.deallocate() }

    /// Producer only. A full ring is our bug: backpressure bounds what is under way.
    @inline(__always)
    func push(_ item: UnsafeMutableRawPointer) {
        let position = tail.load(ordering: .relaxed)
        precondition(position &- head.load(ordering: .relaxed) <= mask)
        slots[position & mask] = item
        tail.store(position &+ 1, ordering: .releasing)
    }

    /// Consumer only.
    @inline(__always)
    func pop() -> UnsafeMutableRawPointer? {
        let position = head.load(ordering: .relaxed)
        if position == tailSeen {
            tailSeen = tail.load(ordering: .acquiring)
            if position == tailSeen { return nil }
        }
        let item = slots[position & mask]
        head.store(position &+ 1, ordering: .releasing)
        return item
    }

    /// Items pushed and not popped; exact for neither side, never negative for the consumer.
    @inline(__always)
    var count: Int { tail.load(ordering: .relaxed) &- head.load(ordering: .relaxed) }

    /// For a consumer that has announced its sleep: the load must not move before the announcement.
    @inline(__always)
    var isEmptyAfterAnnouncement: Bool { tail.load(ordering: .sequentiallyConsistent) == head.load(ordering: .relaxed) }
}
