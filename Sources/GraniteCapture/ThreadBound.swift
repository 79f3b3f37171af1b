// Defines a value that belongs to one thread, and what happens when another thread touches it or lets it go.
// The mistake is told with both sides: where the value was made, and where it went wrong.

import CGraniteCapture
import Glibc

/// A value that only the thread that made it may use and release.
///
/// Use elsewhere throws. The last release elsewhere cannot, so the value is handed home: it waits until its owner calls
/// ``drainHomebound()``, or makes or uses another ThreadBound, or ends. Either mistake is captured: a report with the stacks of
/// all threads, and with the stack at which the value was made; the same mistake again is only counted. What follows is the
/// ``ThreadBoundPolicy``.
///
///     let cursor = ThreadBound(Cursor(), label: "database cursor")
///     try cursor.withValue { $0.fetch() }
public final class ThreadBound<Value> {
    /// Where it was made, and behind that the value: memory of its own, so that a value goes home as an address. No reference to it is
    /// counted on the way, and nothing of it is left behind in an object that another thread frees.
    private let storage: UnsafeMutableRawPointer
    private let label: String?

    /// Binds `value` to the calling thread. Costs a walk of at most 16 frames, no system call but the thread's first two.
    ///
    /// - Parameter label: names the value in reports; cut to 120 bytes. nil: the type's name.
    @inline(never)
    public init(_ value: Value, label: String? = nil) {
        let alignment = max(MemoryLayout<granite_origin>.alignment, MemoryLayout<Value>.alignment)
        storage = .allocate(byteCount: Self.offset + MemoryLayout<Value>.size, alignment: alignment)
        self.label = label
        granite_capture_origin(storage.bindMemory(to: granite_origin.self, capacity: 1))
        (storage + Self.offset).initializeMemory(as: Value.self, to: value)
        Homecoming.settleThread()
    }

    /// Of the value in its storage.
    private static var offset: Int {
        let alignment = MemoryLayout<Value>.alignment
        return (MemoryLayout<granite_origin>.size + alignment - 1) & ~(alignment - 1)
    }

    // Bound and initialized by init, until the storage is released.
    private var origin: UnsafeMutablePointer<granite_origin> { storage.assumingMemoryBound(to: granite_origin.self) }
    private var value: UnsafeMutablePointer<Value> { (storage + Self.offset).assumingMemoryBound(to: Value.self) }

    /// Whether the calling thread is the owner.
    public var isOwnedByCurrentThread: Bool { granite_capture_thread_home().pointee.id == origin.pointee.thread }

    /// Lends the value to `body`. Throws ``WrongThreadError`` on any other thread than the owner's, after a capture if
    /// the policy wants one.
    public func withValue<Result>(_ body: (Value) throws -> Result) throws -> Result {
        guard isOwnedByCurrentThread else { throw reportUse() }
        Homecoming.settleThread()
        return try body(value.pointee)
    }

    @inline(never)
    private func reportUse() -> WrongThreadError {
        if ThreadBoundPolicy.current != .off { report(GRANITE_USED_ELSEWHERE) }
        return WrongThreadError(label: name, owner: origin.pointee.tid)
    }

    deinit {
        if isOwnedByCurrentThread || !isHandedHome() { Self.release(storage) }
    }

    /// Tells of the mistake. False: the value is still to be released, here.
    @inline(never)
    private func isHandedHome() -> Bool {
        switch ThreadBoundPolicy.current {
        case .off: return false
        case .abort: report(GRANITE_RELEASED_ELSEWHERE)
        case .report:
            switch Homecoming.door(of: origin.pointee.thread) {
            case .gone: report(GRANITE_RELEASED_LATE)
            case .closed: report(GRANITE_RELEASED_ELSEWHERE)
            case .open:
                report(GRANITE_HANDED_HOME)
                Homecoming.hand(Homecoming.Value(address: storage, release: Self.release), to: origin.pointee.thread)
                return true
            }
        }
        return false
    }

    private static func release(_ storage: UnsafeMutableRawPointer) {
        (storage + offset).assumingMemoryBound(to: Value.self).deinitialize(count: 1)  // initialized by init
        storage.deallocate()
    }

    private var name: String { label ?? "\(Value.self)" }

    @inline(never)
    private func report(_ mistake: granite_thread_mistake) {
        name.withCString { name in
            "thread_bound".withCString { hook in
                var told = granite_wrong_thread()
                (told.origin, told.label, told.hook, told.mistake) = (UnsafePointer(origin), name, hook, mistake)
                guard granite_wrong_thread_count(&told) else { return }
                Self.typeName.withCString { type in
                    told.type = type
                    _ = granite_wrong_thread_report(&told)
                }
            }
        }
        if ThreadBoundPolicy.current == .abort { abort() }
    }

    /// One line, as the report's details want it.
    private static var typeName: String {
        String(String(reflecting: Value.self).map { $0.isNewline ? " " : $0 })
    }
}

extension ThreadBound where Value == Never {
    /// Releases the values that other threads handed back to the calling thread. Call it in the thread's loop; it costs two loads
    /// when there are none.
    ///
    /// - Returns: how many were released.
    @discardableResult
    public static func drainHomebound() -> Int { Homecoming.drain() }
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
