// Defines how a value gets back to the thread that it belongs to: one queue a thread, which the thread empties. It is separate from
// ThreadBound, which is generic: here a value is an address, and how to release what is there.

import CGraniteCapture
import Glibc

/// The threads that own values, and what waits for them.
enum Homecoming {
    /// At most so much waits for a thread: one that has no loop shall not keep a program's memory for ever.
    static let capacity = 4096

    /// Released once, by whoever has it last. It holds no reference: who passes it on has nothing to do with the value any more.
    struct Value {
        let address: UnsafeMutableRawPointer
        let release: (UnsafeMutableRawPointer) -> Void

        init(address: UnsafeMutableRawPointer, release: @escaping (UnsafeMutableRawPointer) -> Void) {
            (self.address, self.release) = (address, release)
        }

        fileprivate func callRelease() { release(address) }
    }

    private struct Home {
        let thread: UnsafeMutablePointer<granite_thread_home>
        var waiting: [Value] = []
    }

    nonisolated(unsafe) private static var homes: [UInt64: Home] = [:]  // touched by withHomes alone, under the lock
    /// Of pthread and not of Swift, because the Thread Sanitizer sees no Mutex. It lives as long as the process.
    nonisolated(unsafe) private static let lock = {
        let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        return lock
    }()

    private static func withHomes<Result>(_ body: (inout [UInt64: Home]) -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body(&homes)
    }

    /// A child of fork(2) has one thread, and a lock that another one may have held: there nothing is handed home.
    private static let process = getpid()

    /// Its destructor runs on each thread that owns values, at its end.
    private static let endOfThread: pthread_key_t? = {
        var key = pthread_key_t()
        return pthread_key_create(&key) { Homecoming.leave(UInt64(UInt(bitPattern: $0))) } == 0 ? key : nil
    }()

    /// The calling thread becomes one that values can be handed to, and releases what waits for it. Some loads when there is
    /// nothing to do.
    @inline(__always)
    static func settleThread() {
        let home = granite_capture_thread_home()
        if home.pointee.is_known != 0, !granite_thread_home_is_waited_for(home) { return }
        settleSlowly(home)
    }

    @inline(never)
    private static func settleSlowly(_ home: UnsafeMutablePointer<granite_thread_home>) {
        if home.pointee.is_known == 0 { enter(home) }
        drain()
    }

    private static func enter(_ home: UnsafeMutablePointer<granite_thread_home>) {
        home.pointee.is_known = 1
        let id = home.pointee.id
        guard getpid() == process, let endOfThread,
            pthread_setspecific(endOfThread, UnsafeRawPointer(bitPattern: UInt(id))) == 0
        else { return }
        withHomes { $0[id] = Home(thread: home) }
    }

    enum Door {
        /// Something can be handed to the thread.
        case open
        /// Too much waits for it, or it lives in the parent of this process.
        case closed
        /// It has ended.
        case gone
    }

    /// Of the thread with this id.
    static func door(of id: UInt64) -> Door {
        guard getpid() == process, endOfThread != nil else { return .closed }
        return withHomes { homes in
            guard let home = homes[id] else { return .gone }
            return home.waiting.count < capacity ? .open : .closed
        }
    }

    /// Leaves the value to the thread with this id; if that ended meanwhile it is released here.
    static func hand(_ value: Value, to id: UInt64) {
        let isHanded = withHomes { homes in
            guard let thread = homes[id]?.thread else { return false }
            homes[id]?.waiting.append(value)
            granite_thread_home_set_waited_for(thread, true)
            return true
        }
        if !isHanded { value.callRelease() }
    }

    /// Releases what waits for the calling thread, outside the lock: a release may make and release other values.
    @discardableResult
    static func drain() -> Int {
        let home = granite_capture_thread_home()
        guard granite_thread_home_is_waited_for(home), getpid() == process else { return 0 }
        let id = home.pointee.id
        let values = withHomes { homes in
            granite_thread_home_set_waited_for(home, false)
            defer { homes[id]?.waiting = [] }
            return homes[id]?.waiting ?? []
        }
        for value in values { value.callRelease() }
        return values.count
    }

    /// At the end of the thread, on it: what waits is released, and nothing is taken any more, not for a value either that the
    /// destructor of another key makes after this.
    private static func leave(_ id: UInt64) {
        let home = granite_capture_thread_home()
        guard getpid() == process else { return }
        let values = withHomes { $0.removeValue(forKey: id)?.waiting ?? [] }
        granite_thread_home_set_waited_for(home, false)
        for value in values { value.callRelease() }
    }
}
