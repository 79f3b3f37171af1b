// Defines which walk of the crashed thread is believed: ours by call frame information, or the handler's by libunwind. Pure.

import GraniteReport

/// Chooses between two walks of the same thread.
enum FrameChoice {
    /// The walk to report. A CFI walk that reached the outermost frame is kept. If it was cut short and the handler's walk goes on where
    /// it stopped, the rest is taken from there, each frame marked ``Frame/Trust/handler``; if the handler's is longer and agrees
    /// nowhere, it replaces all but the context frame.
    /// - Parameter isCode: whether an address lies in a module; the handler's frames are foreign numbers.
    static func merge(cfi: UnwoundThread, handler: [UInt64], isCode: (UInt64) -> Bool) -> UnwoundThread {
        if let corrected = replacingGuesses(cfi, handler, isCode) { return corrected }
        guard cfi.end != .outermost, cfi.end != .limit, handler.count > cfi.frames.count else { return cfi }
        let known = cfi.frames.map(\.address)
        // The last frame that both saw: what follows it in the handler's list continues ours.
        guard let last = known.last, let position = handler.lastIndex(of: last) else {
            let replaced = usable(handler[...], isCode: isCode)
            guard replaced.count > cfi.frames.count else { return cfi }
            return UnwoundThread(
                raw: cfi.raw, frames: [contextFrame(cfi, handler)] + replaced.dropFirst(), end: cfi.end)
        }
        let rest = usable(handler[(position + 1)...], isCode: isCode)
        guard !rest.isEmpty else { return cfi }
        return UnwoundThread(raw: cfi.raw, frames: cfi.frames + rest, end: cfi.end)
    }

    /// Where we had to guess, the handler may have known: it had the call frame information of a file that is gone by now.
    private static func replacingGuesses(_ cfi: UnwoundThread, _ handler: [UInt64], _ isCode: (UInt64) -> Bool)
        -> UnwoundThread?
    {
        guard let guessed = cfi.frames.firstIndex(where: { $0.trust == .framePointer || $0.trust == .scan }),
            guessed > 0,
            isCode(cfi.frames[guessed - 1].address),
            let position = handler.firstIndex(of: cfi.frames[guessed - 1].address)
        else { return nil }
        let known = usable(handler[(position + 1)...], isCode: isCode)
        // Both say the same, or the handler's goes nowhere.
        guard let first = known.first, known.count >= cfi.frames.count - guessed,
            first.address != cfi.frames[guessed].address
        else { return nil }
        var corrected = cfi
        corrected.frames = cfi.frames[..<guessed] + known
        return corrected
    }

    private static func contextFrame(_ cfi: UnwoundThread, _ handler: [UInt64]) -> UnwoundFrame {
        cfi.frames.first ?? UnwoundFrame(address: handler[0], isReturnAddress: false, trust: .handler)
    }

    private static func usable(_ addresses: ArraySlice<UInt64>, isCode: (UInt64) -> Bool) -> [UnwoundFrame] {
        addresses.prefix { isCode($0 &- 1) }.map { UnwoundFrame(address: $0, isReturnAddress: true, trust: .handler) }
    }
}
