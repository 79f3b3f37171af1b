// Defines the thread that stops a process and lets it go. ptrace(2) wants one thread for all its calls, and when that thread ends the kernel
// lets go even what could not be stopped: so it ends as soon as the memory is read, long before the report is made.

import CLinux
import Glibc
import Synchronization

/// Holds one process, once. Unchecked: the semaphores order what the two threads do, and the rest is behind the mutex.
final class TracerThread: @unchecked Sendable {
    /// A thread of the process as it stood.
    struct Thread: Sendable {
        var tid: Int32
        /// nil if it did not stop.
        var registers: UserRegisters?
        var threadPointer: UInt64
    }

    private struct State: Sendable {
        var threads: [Thread] = []
        /// errno, if no thread could be seized.
        var failure: Int32?
        var began: UInt64 = 0
        var ended: UInt64 = 0
    }

    private let pid: Int32
    private let stopped = granite_semaphore_create()
    private let released = granite_semaphore_create()
    private let state = Mutex(State())
    private var thread: UInt = 0
    private var isRunning = false

    init(pid: Int32) { self.pid = pid }

    deinit {
        letGo()
        granite_semaphore_destroy(stopped)
        granite_semaphore_destroy(released)
    }

    /// Stops the process. Returns its threads, the first one first; an errno if it could not be traced.
    func stop() -> Result<[Thread], Errno> {
        let status = granite_thread_start(
            &thread, "granite-tracer",
            { argument in
                if let argument { Unmanaged<TracerThread>.fromOpaque(argument).takeRetainedValue().hold() }
            }, Unmanaged.passRetained(self).toOpaque())
        guard status == 0 else {
            Unmanaged.passUnretained(self).release()
            return .failure(Errno(code: status))
        }
        isRunning = true
        granite_semaphore_wait(stopped)
        return state.withLock { state in state.failure.map { .failure(Errno(code: $0)) } ?? .success(state.threads) }
    }

    /// Lets it go on, and returns when it does.
    func letGo() {
        guard isRunning else { return }
        isRunning = false
        granite_semaphore_post(released)
        granite_thread_join(thread)
    }

    /// How long the process stood still, once it was let go.
    var heldNanoseconds: UInt64 { state.withLock { $0.ended &- $0.began } }

    /// The thread's body.
    private func hold() {
        var process = TracedProcess(pid: pid)
        guard process.seize() else {
            let reason = errno
            state.withLock { $0.failure = reason }
            granite_semaphore_post(stopped)
            return
        }
        let began = granite_monotonic_ns()
        process.stop()
        let threads = process.threads.keys.sorted { ($0 != pid ? 1 : 0, $0) < ($1 != pid ? 1 : 0, $1) }.map { tid in
            let found = process.registers(of: tid)
            return Thread(tid: tid, registers: found?.words, threadPointer: found?.threadPointer ?? 0)
        }
        state.withLock {
            $0.threads = threads
            $0.began = began
        }
        granite_semaphore_post(stopped)
        granite_semaphore_wait(released)
        process.detach()
        let ended = granite_monotonic_ns()
        state.withLock { $0.ended = ended }
    }

    struct Errno: Error { var code: Int32 }
}
