// Defines how a worker is named: its slot stays, its generation counts the processes that filled it.

/// One worker process among all that a server starts.
package struct WorkerID: Hashable, Sendable, Comparable {
    /// From 1 to the number of workers.
    package var slot: Int
    /// 1 for the first process in the slot.
    package var generation: Int

    package init(slot: Int, generation: Int) {
        self.slot = slot
        self.generation = generation
    }

    package static func < (left: WorkerID, right: WorkerID) -> Bool {
        (left.slot, left.generation) < (right.slot, right.generation)
    }
}
