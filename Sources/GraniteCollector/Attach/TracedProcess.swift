// Stops all threads of a process and lets them go on (ptrace(2)). It knows threads and signals, and nothing of what is read meanwhile. One
// thread of ours makes all calls; when it ends, the kernel lets go whatever is still held.

import CLinux
import Glibc

struct TracedProcess {
    /// Time for a thread to stop. One that waits for a disk or a dead network mount does not.
    static let stopNanoseconds: UInt64 = 500_000_000
    /// After so long it is asked whether those that are left can stop at all.
    static let patienceNanoseconds: UInt64 = 30_000_000
    static let maxThreads = 16_384
    /// Looks for threads that were made meanwhile.
    static let maxPasses = 64

    enum Stop: Equatable {
        case interrupted
        /// This signal is to be delivered to it.
        case signal(Int32)
        /// Its whole process was stopped before, by SIGSTOP or its like, and stays so.
        case group
    }

    let pid: Int32
    /// Whether threads that are made later are seized.
    let follows: Bool
    /// Seized threads; nil: it runs.
    private(set) var threads: [Int32: Stop?] = [:]

    init(pid: Int32, follows: Bool = false) {
        self.pid = pid
        self.follows = follows
    }

    /// Seizes every thread; they run on. False, with errno, if none could be.
    mutating func seize() -> Bool {
        var failure = ESRCH
        for _ in 0..<Self.maxPasses {
            var isNew = false
            for thread in ProcFiles.threads(of: pid).prefix(Self.maxThreads) where threads[thread] == nil {
                if granite_trace_seize(thread, follows ? 1 : 0) == 0 {
                    threads.updateValue(nil, forKey: thread)
                    isNew = true
                } else if thread == pid || threads.isEmpty {
                    // One that ended meanwhile fails with ESRCH; a first thread that ended before the others with EPERM.
                    failure = errno
                }
            }
            if !isNew { break }
        }
        if threads.isEmpty { errno = failure }
        return !threads.isEmpty
    }

    /// Stops all of them, as far as they stop in time. Threads that are made meanwhile are stopped too.
    mutating func stop() {
        let deadline = granite_monotonic_ns() &+ Self.stopNanoseconds
        let patience = granite_monotonic_ns() &+ Self.patienceNanoseconds
        for _ in 0..<Self.maxPasses {
            for (thread, stop) in threads where stop == nil { _ = granite_trace_interrupt(thread) }
            while threads.values.contains(where: { $0 == nil }), granite_monotonic_ns() < deadline {
                if collect() { continue }
                if granite_monotonic_ns() > patience, isStuck { break }
                usleep(20)
            }
            let before = threads.count
            guard granite_monotonic_ns() < deadline, seize(), threads.count > before else { return }
        }
    }

    /// Whether every thread that still runs sleeps where no signal reaches it.
    private var isStuck: Bool {
        threads.allSatisfy { $0.value != nil || ProcFiles.state(of: $0.key, in: pid) == "D" }
    }

    /// Asks once after each running thread. False if none had news.
    private mutating func collect() -> Bool {
        var hasNews = false
        for (thread, stop) in threads where stop == nil {
            var which: Int32 = 0
            var detail: Int32 = 0
            let event = granite_trace_wait(thread, 0, &which, &detail)
            if event == GRANITE_TRACE_NOTHING { continue }
            hasNews = true
            note(event, thread, detail)
        }
        return hasNews
    }

    /// Takes what waitpid(2) told of a thread.
    mutating func note(_ event: granite_trace_event, _ thread: Int32, _ detail: Int32) {
        switch event {
        case GRANITE_TRACE_NOTHING: break
        case GRANITE_TRACE_GONE: threads.removeValue(forKey: thread)
        case GRANITE_TRACE_SIGNAL: threads.updateValue(.signal(detail), forKey: thread)
        case GRANITE_TRACE_GROUP: threads.updateValue(.group, forKey: thread)
        default: threads.updateValue(.interrupted, forKey: thread)
        }
    }

    /// A stopped thread's registers; nil if it runs or is gone.
    func registers(of thread: Int32) -> (words: UserRegisters, threadPointer: UInt64)? {
        guard case .some(.some) = threads[thread] else { return nil }
        var words = [UInt64](repeating: 0, count: Int(GRANITE_TRACE_MAX_WORDS))
        var pointer: UInt64 = 0
        let count = granite_trace_registers(thread, &words, &pointer)
        guard count > 0, let registers = UserRegisters(Array(words.prefix(Int(count)))) else { return nil }
        return (registers, pointer)
    }

    /// Lets go of all that stopped; signals that came meanwhile are delivered now. The others are let go when our thread ends.
    mutating func detach() {
        for (thread, stop) in threads {
            guard let stop else { continue }
            _ = granite_trace_restart(thread)
            _ = granite_trace_detach(thread, stop.pendingSignal)
            threads.removeValue(forKey: thread)
        }
    }

    /// All that stopped run on, and stay seized; signals that came meanwhile are delivered now.
    mutating func resume() {
        for (thread, stop) in threads {
            guard let stop else { continue }
            resume(thread, stop)
        }
    }

    mutating func resume(_ thread: Int32, _ stop: Stop) {
        switch stop {
        case .group: _ = granite_trace_listen(thread)
        case .interrupted:
            _ = granite_trace_restart(thread)
            _ = granite_trace_continue(thread, 0)
        case .signal(let signal):
            // A signal that the program ignores would not have woken it without us.
            _ = granite_trace_restart(thread)
            _ = granite_trace_continue(thread, signal)
        }
        threads.updateValue(nil, forKey: thread)
    }
}

extension TracedProcess.Stop {
    fileprivate var pendingSignal: Int32 {
        switch self {
        case .signal(let signal): signal
        case .interrupted, .group: 0
        }
    }
}
