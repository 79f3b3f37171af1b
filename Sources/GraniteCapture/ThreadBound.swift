// Defines a value that belongs to one thread, and what happens when another thread touches it or lets it go.
// The mistake is told with both sides: where the value was made, and where it went wrong.

import CGraniteCapture
import Glibc

/// A value that only the thread that made it may use and release.
///
/// Use elsewhere throws; the last release elsewhere cannot, so it is captured: a report with the stacks of all threads,
/// and with the stack at which the value was made. What follows is the ``ThreadBoundPolicy``.
///
///     let cursor = ThreadBound(Cursor(), label: "database cursor")
///     try cursor.withValue { $0.fetch() }
public final class ThreadBound<Value> {
    private let value: Value
    private let label: String
    private let owner: UInt
    private let origin: granite_origin

    /// Binds `value` to the calling thread. Costs a walk of at most 16 frames, no system call.
    ///
    /// - Parameter label: names the value in reports; cut to 255 bytes.
    @inline(never)
    public init(_ value: Value, label: String = "\(Value.self)") {
        self.value = value
        self.label = label
        owner = threadPointer()
        var origin = granite_origin()
        granite_capture_origin(&origin)
        self.origin = origin
    }

    /// Whether the calling thread is the owner.
    public var isOwnedByCurrentThread: Bool { threadPointer() == owner }

    /// Lends the value to `body`. Throws ``WrongThreadError`` on any other thread than the owner's, after a capture if
    /// the policy wants one.
    public func withValue<Result>(_ body: (Value) throws -> Result) throws -> Result {
        guard isOwnedByCurrentThread else { throw reportUse() }
        return try body(value)
    }

    private func reportUse() -> WrongThreadError {
        let error = WrongThreadError(label: label, owner: origin.tid)
        report("\(label) belongs to thread \(origin.tid), but is being used on another thread")
        return error
    }

    deinit {
        if threadPointer() != owner {
            report("\(label) belongs to thread \(origin.tid), but is being released on another thread")
        }
    }

    @inline(never)
    private func report(_ message: String) {
        switch ThreadBoundPolicy.current {
        case .off: return
        case .report: _ = Capture.now(.dropSite, subject: label, message: message, origin: origin)
        case .abort:
            _ = Capture.now(.dropSite, subject: label, message: message, origin: origin)
            abort()
        }
    }
}

/// A ``ThreadBound`` value was used on a thread that does not own it.
public struct WrongThreadError: Error, Equatable, CustomStringConvertible {
    /// The value's label.
    public var label: String
    /// The owner's thread id.
    public var owner: UInt32

    /// A sentence for the log.
    public var description: String {
        "\(label) belongs to thread \(owner) and cannot be used on another thread."
    }
}

/// pthread_self() as a number: one load, no system call. It may be reused after the owner ended: then a mistake can go
/// unseen.
@inline(__always)
private func threadPointer() -> UInt { UInt(pthread_self()) }
