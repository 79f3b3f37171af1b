// Chooses, out of the exceptions that a process threw last, the one that a capture is about: the stack at the end often does not show any
// more where it was thrown. Pure but for the names.

import Glibc
import GraniteCrashChannel
import GraniteReport
import GraniteSymbols

struct ThrownExceptions {
    /// An abort that the stack does not tie to an exception may still follow from one: `catch (…) { abort(); }`.
    static let youngMilliseconds = 100.0

    /// Oldest first.
    let thrown: [CrashPage.Throw]

    /// The exception that ended the captured thread, or may have; nil if it did not end of one.
    ///
    /// - Parameter frames: of the captured thread, with names.
    func cause(of capture: CrashPage.Capture, frames: [Frame]) -> CrashPage.Throw? {
        let candidates = thrown.filter {
            $0.tid == capture.crashedThread && $0.timeNanoseconds <= capture.enteredNanoseconds
        }
        guard let last = candidates.last else { return nil }
        switch capture.kind {
        case .panic: return candidates.last { $0.language == "Rust" }
        case .signal where capture.signalNumber == SIGABRT:
            return Self.isInFlight(frames) || age(of: last, at: capture) <= Self.youngMilliseconds ? last : nil
        default: return nil
        }
    }

    /// The first throw of one that was thrown again, as far as it is still known: by this thread, else by another.
    func origin(of cause: CrashPage.Throw) -> CrashPage.Throw {
        guard cause.isAgain else { return cause }
        let alike = thrown.filter {
            !$0.isAgain && $0.type == cause.type && $0.language == cause.language && $0.frames == cause.frames
                && $0.timeNanoseconds <= cause.timeNanoseconds
        }
        return alike.last { $0.tid == cause.tid } ?? alike.last ?? cause
    }

    func report(
        of capture: CrashPage.Capture, frames: [Frame], namer: inout FrameNamer
    ) -> ThrownException? {
        guard let cause = cause(of: capture, frames: frames) else { return nil }
        let origin = origin(of: cause)
        var exception = ThrownException()
        exception.language = cause.language
        exception.type = cause.type.isEmpty ? nil : demangledType(cause.type)
        exception.message = cause.message.isEmpty ? nil : cause.message
        exception.tid = Int(origin.tid)
        exception.ageMilliseconds = age(of: origin, at: capture)
        var named = namer.name(
            origin.frames.map { UnwoundFrame(address: $0.value, isReturnAddress: true, trust: .cfi) })
        // What raises is nobody's question.
        while named.count > 1, named[0].role == .dying { named.removeFirst() }
        for index in named.indices { named[index].index = index }
        exception.frames = named.isEmpty ? nil : named
        return exception
    }

    private func age(of thrown: CrashPage.Throw, at capture: CrashPage.Capture) -> Double {
        Double((capture.enteredNanoseconds - thrown.timeNanoseconds) / 1000) / 1000
    }

    /// Whether the stack shows an exception on its way, or that it was let out of a function that may not.
    static func isInFlight(_ frames: [Frame]) -> Bool {
        frames.prefix(RuntimeTextProof.depth).contains { frame in
            guard frame.kind == .native, let symbol = frame.symbol else { return false }
            return inFlight.contains { symbol.hasPrefix($0) } || symbol.hasSuffix("_personality_v0")
        }
    }

    /// libstdc++-v3/libsupc++, libcxxabi/src, libgcc/unwind.inc
    private static let inFlight = [
        "__cxa_throw", "__cxa_rethrow", "__cxa_call_terminate", "std::rethrow_exception", "_Unwind_RaiseException",
        "_Unwind_Resume",
    ]
}
