// Defines the word that says what a thread was doing, told from the names of its innermost frames. Pure.

package import GraniteReport

package enum ThreadState {
    /// Frames that are looked at: a wait is at most a few calls deep.
    static let depth = 12

    /// `crashed`, `running`, `waiting for the GIL`, `idle`, `event loop`, `blocked`, `not parked`.
    package static func describe(isCrashed: Bool, hasRegisters: Bool, frames: [Frame]) -> String {
        if isCrashed { return "crashed" }
        guard hasRegisters else { return "not parked" }
        let names = frames.prefix(depth).filter { $0.kind == .native }.compactMap { $0.symbol.map(bare) }
        if names.contains(where: { $0 == "take_gil" || $0 == "PyEval_AcquireLock" }) { return "waiting for the GIL" }
        guard let wait = names.prefix(6).firstIndex(where: { isWait($0) }) else { return "running" }
        let waits = names[wait...]
        // A lock is waited for in the same futex call as work is.
        if waits.contains(where: locks.contains) { return "blocked" }
        if waits.contains(where: eventLoops.contains) { return "event loop" }
        if waits.contains(where: idles.contains) { return "idle" }
        return "blocked"
    }

    /// Without the version, the `__` of internal names and the arguments of a demangled one.
    private static func bare(_ symbol: String) -> String {
        var name = Substring(symbol)
        if let end = name.firstIndex(where: { $0 == "@" || $0 == "(" }) { name = name[..<end] }
        while name.hasPrefix("_") { name = name.dropFirst() }
        for prefix in ["GI_", "libc_"] where name.hasPrefix(prefix) { name = name.dropFirst(prefix.count) }
        while name.hasPrefix("_") { name = name.dropFirst() }
        return String(name)
    }

    private static func isWait(_ name: String) -> Bool {
        waits.contains(name) || locks.contains(name) || eventLoops.contains(name) || idles.contains(name)
    }

    private static let eventLoops: Set<String> = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "granite_epoll_wait"]

    /// Waits for work or for time.
    private static let idles: Set<String> = [
        "nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "sleep", "usleep", "pause", "select", "pselect",
        "poll", "ppoll",
        "futex_abstimed_wait_common", "futex_abstimed_wait_common64", "futex_abstimed_wait",
        "futex_abstimed_wait_cancelable64",
        "pthread_cond_wait", "pthread_cond_timedwait", "pthread_cond_clockwait", "new_sem_wait_slow64",
        "new_sem_wait_slow",
        "sem_wait", "sem_timedwait", "sem_clockwait", "futex_wait", "granite_futex_wait", "accept", "accept4",
        "sigtimedwait",
        "sigwait", "sigwaitinfo", "rt_sigtimedwait", "dispatch_worker_thread_wait", "Py_sem_wait",
        "PyThread_acquire_lock_timed",
        "sched_yield",
    ]

    private static let locks: Set<String> = [
        "lll_lock_wait", "lll_lock_wait_private", "pthread_mutex_lock", "pthread_mutex_lock_full",
        "pthread_rwlock_rdlock",
        "pthread_rwlock_wrlock", "futex_lock_pi",
    ]

    /// Waits for somebody else.
    private static let waits: Set<String> = [
        "syscall", "pthread_join", "pthread_clockjoin_ex", "pthread_timedjoin_ex", "read", "write", "recv", "recvfrom",
        "recvmsg", "send", "sendto", "sendmsg", "wait4", "waitpid", "waitid", "fsync", "fdatasync", "connect", "flock",
        "open", "openat",
    ]
}
