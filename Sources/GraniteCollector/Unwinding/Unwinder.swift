// Defines the walk of a thread's stack: by call frame information where there is any, else by the frame pointer, else by searching. Rows of
// the call frame table are kept by address, so that a runaway recursion is walked to its outermost frame. One Unwinder belongs to one
// thread of ours: libdw keeps its state without locks.

import GraniteReport
import GraniteSymbols

/// Walks the threads of one capture.
package final class Unwinder {
    /// Frames of one thread at most: 8 MiB of the smallest frames there are (16 bytes), twice.
    package static let maxFrames = 1 << 20
    /// The same for a thread that did not crash: nobody looks for the end of a recursion there.
    static let maxOtherFrames = maxFrames / 16
    /// Frames of all the threads that did not crash. A thread after them still has `minOtherFrames`.
    static let maxOtherFramesInAll = 1 << 20
    static let minOtherFrames = 256
    /// Frames in which an async function is looked for.
    static let asyncDepth = 64
    /// How often a walk may change to another stack: a signal's alternate stack, coroutines inside coroutines.
    static let maxStackChanges = 64
    /// How often a walk may be without call frame information.
    static let maxRecoveries = 4096
    static let maxNotes = 3

    private let memory: WalkedMemory
    private let code: CodeMap
    private let map: MemoryMap
    private let recovery: FrameRecovery
    private var otherFrames = 0

    /// - Parameters:
    ///   - images: in the order of `modules`.
    ///   - vdso: the vdso's bytes if they were copied; without them threads inside clock_gettime have one frame.
    init(modules: [LoadedModule], images: [ModuleImage], map: MemoryMap, vdso: [UInt8]?, memory: WalkedMemory) {
        self.memory = memory
        self.map = map
        code = CodeMap(modules: modules, images: images, map: map, vdso: vdso, memory: memory)
        recovery = FrameRecovery(code: code, memory: memory, map: map)
    }

    /// Walks one thread from its registers.
    func unwind(_ thread: RawThread) -> UnwoundThread {
        guard thread.hasRegisters, let registers = RegisterSet(thread.registers) else {
            return UnwoundThread(raw: thread, frames: [], end: .notParked)
        }
        memory.beginThread()
        let limit =
            thread.isCrashed
            ? Self.maxFrames
            : max(Self.minOtherFrames, min(Self.maxOtherFrames, Self.maxOtherFramesInAll - otherFrames))
        var walk = Walk(registers)
        walk.append(.context, isReturnAddress: false)
        var end: WalkEnd?
        while end == nil {
            if walk.asyncContexts.count < Self.asyncDepth { walk.asyncContexts.append(contexts(walk.registers)) }
            end = walk.frames.count < limit ? step(&walk) : .limit
        }
        if !thread.isCrashed { otherFrames += walk.frames.count }
        var unwound = UnwoundThread(raw: thread, frames: walk.frames, end: end ?? .lost)
        unwound.notes = walk.notes
        unwound.asyncContexts = walk.asyncContexts
        return unwound
    }

    /// A walk on its way.
    private struct Walk {
        var registers: RegisterSet
        var frames: [UnwoundFrame] = []
        var asyncContexts: [[UInt64]] = []
        var notes: [String] = []
        var stackChanges = 0
        var recoveries = 0
        /// Once a frame was guessed, what follows from its registers must prove itself.
        var isDoubtful = false

        init(_ registers: RegisterSet) { self.registers = registers }

        mutating func append(_ trust: Frame.Trust, isReturnAddress: Bool) {
            frames.append(
                .init(
                    address: registers.programCounter, isReturnAddress: isReturnAddress, trust: trust,
                    stackPointer: registers.stackPointer))
        }

        mutating func note(_ text: String) {
            if notes.count < Unwinder.maxNotes, !notes.contains(text) { notes.append(text) }
        }
    }

    /// Goes one frame out; nil if there is another.
    private func step(_ walk: inout Walk) -> WalkEnd? {
        guard let last = walk.frames.last else { return .lost }
        memory.missedMemory = false
        // One less than a return address lies inside the call, even where the callee never returns.
        let point = code.point(last.isReturnAddress ? last.address &- 1 : last.address)
        guard let row = point.row else { return stepWithoutRow(&walk, last, point) }
        if row.isSignalFrame { walk.frames[walk.frames.count - 1].isReturnAddress = false }
        if row.isOutermost { return .outermost }
        var next = walk.registers
        guard let cfa = row.frameAddress(next, word: memory.word) else { return recover(&walk, last) }
        guard row.apply(&next, cfa: cfa, word: memory.word) else {
            return memory.missedMemory ? .missingMemory : recover(&walk, last)
        }
        let address = next.programCounter
        if address == 0 { return .outermost }
        guard row.isSignalFrame || isProgress(from: walk.registers.stackPointer, to: cfa, &walk, last) else {
            return walk.isDoubtful ? recover(&walk, last) : .lost
        }
        if row.isSignalFrame {
            guard isProgressOfSignal(to: next, &walk) else { return .lost }
            walk.registers = next
            walk.append(.cfi, isReturnAddress: false)
            return nil
        }
        guard code.point(address &- 1).isCode else {
            guard !walk.isDoubtful else { return recover(&walk, last) }
            return recoverBehindDamage(&walk, address, cfa)
        }
        if walk.isDoubtful, !recovery.isReturnAddress(address) { return recover(&walk, last) }
        walk.registers = next
        walk.append(.cfi, isReturnAddress: true)
        return nil
    }

    /// A stack only grows towards its base; a damaged one could make the walk go round.
    private func isProgress(from stackPointer: UInt64, to cfa: UInt64, _ walk: inout Walk, _ last: UnwoundFrame) -> Bool
    {
        if cfa > stackPointer { return true }
        // A leaf function of a processor that keeps the return address in a register.
        if cfa == stackPointer, !last.isReturnAddress { return true }
        walk.stackChanges += 1
        return walk.stackChanges <= Self.maxStackChanges
            && map.mapping(containing: cfa) != map.mapping(containing: stackPointer)
    }

    /// A handler runs below what it interrupted, or on the alternate stack. A signal frame that holds itself would be walked for ever.
    private func isProgressOfSignal(to interrupted: RegisterSet, _ walk: inout Walk) -> Bool {
        if interrupted.stackPointer > walk.registers.stackPointer { return true }
        walk.stackChanges += 1
        return walk.stackChanges <= Self.maxStackChanges
    }

    private func stepWithoutRow(_ walk: inout Walk, _ last: UnwoundFrame, _ point: CodePoint) -> WalkEnd? {
        if point.isCode, code.bytes(last.address, SignalTrampoline.code.count) == SignalTrampoline.code,
            let interrupted = SignalTrampoline.interrupted(walk.registers, word: memory.word)
        {
            walk.frames[walk.frames.count - 1].isReturnAddress = false
            guard isProgressOfSignal(to: interrupted, &walk) else { return .lost }
            walk.registers = interrupted
            walk.append(.framePointer, isReturnAddress: false)
            return nil
        }
        // Nothing calls the function before it: its own beginning was put there as a return address, where coroutines end.
        if last.isReturnAddress, case .some(nil) = code.callSite(before: last.address),
            code.point(last.address).row != nil
        {
            walk.frames[walk.frames.count - 1].isReturnAddress = false
            return .outermost
        }
        if let module = point.module {
            switch code.source(ofModule: module) {
            case .file: break
            case .memory, .none:
                walk.note(
                    "\(code.name(ofModule: module)) on disk is not the build that was loaded: its callers were found without its file."
                )
            }
        }
        return recover(&walk, last)
    }

    /// Finds the caller without call frame information.
    private func recover(_ walk: inout Walk, _ last: UnwoundFrame) -> WalkEnd? {
        walk.recoveries += 1
        guard walk.recoveries <= Self.maxRecoveries,
            let (next, trust) = recovery.caller(of: walk.registers, isInterrupted: !last.isReturnAddress),
            next.stackPointer > walk.registers.stackPointer
        else { return memory.missedMemory ? .missingMemory : .lost }
        walk.isDoubtful = true
        walk.registers = next
        walk.append(trust, isReturnAddress: true)
        return nil
    }

    /// The return address is no code: something wrote over it. What lies above may be whole.
    private func recoverBehindDamage(_ walk: inout Walk, _ address: UInt64, _ cfa: UInt64) -> WalkEnd? {
        walk.note(
            "The return address of frame \(walk.frames.count - 1) is \(Address(address)), which is no code: the stack is damaged there."
        )
        walk.registers.set(Registers.stackPointer, cfa)
        walk.registers.forget(Registers.framePointer)
        guard let last = walk.frames.last else { return .lost }
        return recover(&walk, last)
    }

    private func contexts(_ registers: RegisterSet) -> [UInt64] {
        var found: [UInt64] = []
        if let context = registers[Registers.asyncContext] { found.append(context) }
        // The extended frame of an async function keeps its context below the saved frame pointer (swift, docs/ABI/CallingConvention).
        if let framePointer = registers[Registers.framePointer], let bytes = memory.bytes(framePointer &- 8, 8) {
            found.append(bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
        }
        return found
    }
}
