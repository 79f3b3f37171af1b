// Defines the first two stages of a thread on its way into the report: what the handler stored, and the addresses that were walked from
// it. Each stage is made only from the one before; the third is GraniteReport's ThreadReport.

package import GraniteReport

/// A thread as the handler stored it.
package struct RawThread: Sendable, Equatable {
    package var tid: Int
    package var name: String
    package var isCrashed: Bool
    /// False if it did not park: there are no registers, so there is nothing to walk.
    package var hasRegisters: Bool
    /// Thread pointer; equals Python's thread_id.
    package var fsBase: UInt64
    /// DWARF order of the architecture (``Registers``).
    package var registers: [UInt64]

    package init(tid: Int, name: String, isCrashed: Bool, hasRegisters: Bool, fsBase: UInt64, registers: [UInt64]) {
        self.tid = tid
        self.name = name
        self.isCrashed = isCrashed
        self.hasRegisters = hasRegisters
        self.fsBase = fsBase
        self.registers = registers
    }
}

/// One activation, found by walking; no names yet.
package struct UnwoundFrame: Sendable, Equatable {
    /// The interrupted instruction, or the return address in a caller.
    package var address: UInt64
    /// True if `address` is a return address: look up `address - 1`.
    package var isReturnAddress: Bool
    package var trust: Frame.Trust
    /// Stack pointer in this frame; 0 if it is not known.
    package var stackPointer: UInt64

    package init(address: UInt64, isReturnAddress: Bool, trust: Frame.Trust, stackPointer: UInt64 = 0) {
        self.address = address
        self.isReturnAddress = isReturnAddress
        self.trust = trust
        self.stackPointer = stackPointer
    }
}

/// A thread after the walk.
package struct UnwoundThread: Sendable, Equatable {
    package var raw: RawThread
    /// Innermost first.
    package var frames: [UnwoundFrame]
    package var end: WalkEnd
    /// What its reader must know to believe the frames, a sentence each.
    package var notes: [String] = []
    /// Words that may be the Swift async context of each of the innermost frames: its register, and what the frame record holds.
    package var asyncContexts: [[UInt64]] = []

    package init(raw: RawThread, frames: [UnwoundFrame], end: WalkEnd) {
        self.raw = raw
        self.frames = frames
        self.end = end
    }
}

/// Why a walk came to its end.
package enum WalkEnd: Sendable, Equatable {
    /// The outermost frame was reached.
    case outermost
    /// The next frame lies in memory that was not copied.
    case missingMemory
    /// More frames than are looked at.
    case limit
    /// There is no way on: no call frame information and no frame pointer, or a damaged stack.
    case lost
    /// The thread had no registers.
    case notParked
}
