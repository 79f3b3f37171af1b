// Defines the queue of connections whose request is whole and not yet dispatched. Separate: it is what backpressure
// looks at.

/// First in, first out; grows, never shrinks below what was needed once. A closed connection stays in it until its
/// turn.
struct ReadyQueue {
    private var slots = [Connection?](repeating: nil, count: 64)
    private var head = 0
    private(set) var count = 0

    var first: Connection? { count == 0 ? nil : slots[head] }

    mutating func append(_ connection: Connection) {
        if count == slots.count {
            slots = (0..<count).map { slots[(head + $0) % count] } + [Connection?](repeating: nil, count: count)
            head = 0
        }
        slots[(head + count) % slots.count] = connection
        count += 1
    }

    mutating func popFirst() -> Connection? {
        if count == 0 { return nil }
        let connection = slots[head]
        slots[head] = nil
        head = (head + 1) % slots.count
        count -= 1
        return connection
    }
}
