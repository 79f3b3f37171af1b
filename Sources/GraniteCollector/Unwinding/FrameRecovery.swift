// Finds the caller of a frame that has no call frame information: by the frame pointer, else by searching the stack for a word that points
// behind a call. Conservative: what it says must be believable by the code it points to.

import GraniteReport

/// Steps where CFI does not lead on. Belongs to one walk.
struct FrameRecovery {
    /// Words of the stack that are searched.
    static let maxScannedWords: UInt64 = 4096
    /// A function that made no frame of its own is looked for in so many words.
    static let maxNearWords: UInt64 = 256
    /// A direct call is believed to have led to code at most so far behind its target.
    static let functionReach: UInt64 = 64 << 10

    let code: CodeMap
    let memory: WalkedMemory
    let map: MemoryMap

    /// The caller's registers, and how they were found.
    /// - Parameters:
    ///   - registers: of the frame whose caller is looked for.
    ///   - isInterrupted: true if it was executing its program counter: it may not have made its frame yet.
    func caller(of registers: RegisterSet, isInterrupted: Bool) -> (registers: RegisterSet, trust: Frame.Trust)? {
        let stackPointer = registers.stackPointer
        guard let stack = map.mapping(containing: stackPointer), stack.isReadable, stackPointer % 8 == 0 else {
            return byFramePointer(registers, nil).map { ($0, .framePointer) }
        }
        if isInterrupted, let next = onTop(registers) { return (next, .scan) }
        if let next = byFramePointer(registers, stack) {
            // A function without a frame leaves its caller's frame pointer: then a call to it lies nearer.
            let frame = next.stackPointer &- 16
            if let nearer = nearer(registers, below: frame) { return (nearer, .scan) }
            // So it is, too, where the caller that it names called something else.
            if calledElsewhere(next.programCounter, registers.programCounter), let found = scan(registers, stack),
                found.stackPointer < frame
            {
                return (found, .scan)
            }
            return (next, .framePointer)
        }
        return scan(registers, stack).map { ($0, .scan) }
    }

    /// The caller of code that was entered by a call and has pushed nothing.
    private func onTop(_ registers: RegisterSet) -> RegisterSet? {
        guard let pushed = Registers.pushedReturnAddressBytes else { return nil }
        guard let address = memory.word(registers.stackPointer), let site = code.callSite(before: address) else {
            return nil
        }
        switch site {
        case nil: return nil
        case .direct(let target):
            guard leads(target, to: registers.programCounter) || isStub(target) else { return nil }
        case .indirect: break
        }
        return moved(registers, to: address, stackPointer: registers.stackPointer &+ pushed)
    }

    private func byFramePointer(_ registers: RegisterSet, _ stack: Mapping?) -> RegisterSet? {
        guard let framePointer = registers[Registers.framePointer], framePointer % 8 == 0,
            stack?.contains(framePointer) ?? true, framePointer >= registers.stackPointer,
            let saved = memory.word(framePointer), let address = memory.word(framePointer &+ 8), isCode(address)
        else { return nil }
        // Where the code cannot be read, its place must do.
        if case .some(nil) = code.callSite(before: address) { return nil }
        var next = registers
        next.set(Registers.framePointer, saved)
        next.set(Registers.programCounter, address)
        next.set(Registers.stackPointer, framePointer &+ 16)
        return next
    }

    /// Whether the call before a return address went to other code than this, as far as the call says where it went.
    private func calledElsewhere(_ returnAddress: UInt64, _ address: UInt64) -> Bool {
        guard case .direct(let target)?? = code.callSite(before: returnAddress) else { return false }
        return !leads(target, to: address) && !isStub(target)
    }

    /// A direct call of this very function, below the frame that the frame pointer leads to.
    private func nearer(_ registers: RegisterSet, below frame: UInt64) -> RegisterSet? {
        var slot = registers.stackPointer
        let end = min(frame, slot &+ 8 &* Self.maxNearWords)
        while slot < end {
            if let address = memory.word(slot), isCode(address),
                case .direct(let target)?? = code.callSite(before: address),
                target <= registers.programCounter, registers.programCounter - target < 4096
            {
                return moved(registers, to: address, stackPointer: slot &+ 8)
            }
            slot &+= 8
        }
        return nil
    }

    private func scan(_ registers: RegisterSet, _ stack: Mapping) -> RegisterSet? {
        var slot = registers.stackPointer
        for _ in 0..<Self.maxScannedWords {
            guard slot < stack.end, let word = memory.word(slot) else { return nil }
            if isCode(word), case .some(.some(_)) = code.callSite(before: word) {
                var next = moved(registers, to: word, stackPointer: slot &+ 8)
                // A function that makes a frame saves its caller's frame pointer right below the return address.
                if next[Registers.framePointer] == nil, slot > registers.stackPointer,
                    let saved = memory.word(slot &- 8),
                    saved % 8 == 0, saved > slot, stack.contains(saved)
                {
                    next.set(Registers.framePointer, saved)
                    if leadsOn(next) { return next }
                    next.forget(Registers.framePointer)
                }
                if leadsOn(next) { return next }
            }
            slot &+= 8
        }
        return nil
    }

    /// Whether the frame that a found word makes has a believable caller itself, as far as that can be told.
    private func leadsOn(_ registers: RegisterSet) -> Bool {
        guard let row = code.point(registers.programCounter &- 1).row, !row.isOutermost else { return true }
        guard let cfa = row.frameAddress(registers, word: memory.word) else { return true }
        var next = registers
        guard cfa > registers.stackPointer, row.apply(&next, cfa: cfa, word: memory.word) else { return false }
        if next.programCounter == 0 { return true }
        // Words that earlier calls left behind are return addresses, too, but their callers called others.
        return isReturnAddress(next.programCounter) && !calledElsewhere(next.programCounter, registers.programCounter)
    }

    /// Whether a word can be a return address: it points into code, and behind a call unless the code cannot be read.
    func isReturnAddress(_ address: UInt64) -> Bool {
        guard isCode(address) else { return false }
        if case .some(nil) = code.callSite(before: address) { return false }
        return true
    }

    private func isCode(_ address: UInt64) -> Bool { address > 4096 && code.point(address &- 1).isCode }

    private func leads(_ target: UInt64, to address: UInt64) -> Bool {
        target <= address && address - target < Self.functionReach
    }

    private func isStub(_ target: UInt64) -> Bool { code.bytes(target, 12).map(CallSite.isStub) ?? false }

    private func moved(_ registers: RegisterSet, to address: UInt64, stackPointer: UInt64) -> RegisterSet {
        var next = registers
        next.set(Registers.programCounter, address)
        next.set(Registers.stackPointer, stackPointer)
        // A frame pointer below the frame belongs to nobody any more.
        if let framePointer = next[Registers.framePointer], framePointer < stackPointer {
            next.forget(Registers.framePointer)
        }
        return next
    }
}
