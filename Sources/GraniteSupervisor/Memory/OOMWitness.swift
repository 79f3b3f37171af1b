// Puts together what the kernel tells of OOM kills: the counter of the victim's cgroup, the whole machine's, and the log. They tell an
// OOM kill from a kill -9, which look alike in a wait status. States facts; what follows from them is the diagnosis' to say.

import GraniteLinux
import GraniteReport

/// Follows the OOM killer's counters. Belongs to the supervisor's thread.
struct OOMWitness {
    /// How often counters are looked at while all is well. A kill that is older than twice that when a worker dies is not held
    /// against it.
    static let interval = Duration.seconds(10)
    /// How long the log may lag behind the counter.
    static let logPatienceMilliseconds: Int32 = 50

    /// Kills that a counter told of and no death has been explained by.
    private struct Counter {
        var last: Int
        /// Since the last look, and before it: a kill is forgotten at the second look, so never a moment after it happened.
        private var fresh = 0
        private var old = 0

        init(last: Int) { self.last = last }

        var unclaimed: Int { fresh + old }

        mutating func advance(to count: Int) {
            fresh += max(0, count - last)
            last = count
        }

        mutating func age() { (old, fresh) = (fresh, 0) }

        mutating func claim() {
            if old > 0 { old -= 1 } else if fresh > 0 { fresh -= 1 }
        }
    }

    private let root: String
    private let log: KernelLog
    private var cgroups: [String: Counter] = [:]
    private var system: Counter?
    private var nextRefresh: ContinuousClock.Instant

    /// - Parameter root: stands for `/`; empty but in tests.
    init(root: String = "", log: KernelLog = KernelLog(), now: ContinuousClock.Instant = .now) {
        self.root = root
        self.log = log
        system = Self.systemKills(root).map { Counter(last: $0) }
        nextRefresh = now + Self.interval
    }

    /// The memory cgroup of a worker that was started or became ready; its counter is followed from here on.
    mutating func watch(process pid: Int32) -> MemoryCgroup? {
        // Pids are used again: what the log says of this one until now speaks of another process.
        log.forget(pid)
        guard let cgroup = MemoryCgroup.find(process: "\(pid)", root: root) else { return nil }
        if cgroups[cgroup.counter] == nil, let count = cgroup.oomKills() {
            cgroups[cgroup.counter] = Counter(last: count)
        }
        return cgroup
    }

    /// When ``tick(now:)`` has something to do.
    var deadline: ContinuousClock.Instant { nextRefresh }

    /// Kills of processes that were no workers are forgotten.
    mutating func tick(now: ContinuousClock.Instant, cgroups current: [MemoryCgroup]) {
        guard nextRefresh <= now else { return }
        nextRefresh = now + Self.interval
        var followed: [String: Counter] = [:]
        for cgroup in current where followed[cgroup.counter] == nil {
            if let count = cgroup.oomKills() {
                followed[cgroup.counter] = Self.aged(cgroups[cgroup.counter], count)
            }
        }
        cgroups = followed
        system = Self.systemKills(root).map { Self.aged(system, $0) }
    }

    private static func aged(_ counter: Counter?, _ count: Int) -> Counter {
        var counter = counter ?? Counter(last: count)
        counter.advance(to: count)
        counter.age()
        return counter
    }

    /// What is known of the memory of a worker that has died. Call once a death, in the order of the deaths.
    ///
    /// - Parameter wasKilled: it died of SIGKILL, and not of one that we sent.
    mutating func account(of pid: Int32, in cgroup: MemoryCgroup?, wasKilled: Bool) -> MemoryInfo {
        var memory = MemoryInfo()
        memory.cgroup = cgroup?.reading()
        if let cgroup, let count = cgroup.oomKills() {
            cgroups[cgroup.counter, default: Counter(last: count)].advance(to: count)
            memory.cgroup?.oomKills = cgroups[cgroup.counter]?.unclaimed
        }
        if let count = Self.systemKills(root) {
            system?.advance(to: count)
            memory.systemOOMKills = system?.unclaimed
        }
        guard wasKilled else { return memory }
        let isSuspected = (memory.cgroup?.oomKills ?? 0) > 0 || (memory.systemOOMKills ?? 0) > 0
        memory.oomKill = log.kill(of: pid, patienceMilliseconds: isSuspected ? Self.logPatienceMilliseconds : 0)
        // A log with holes names those that it names, but rules nobody out.
        memory.kernelLogRead = log.isReadable && (memory.oomKill != nil || !log.hasLostRecords)
        if memory.oomKill != nil || (memory.kernelLogRead != true && isSuspected) {
            // This death is explained by one of them; the next one needs another.
            if let cgroup { cgroups[cgroup.counter]?.claim() }
            system?.claim()
        }
        return memory
    }

    /// `oom_kill` of /proc/vmstat: every victim of the machine.
    private static func systemKills(_ root: String) -> Int? {
        SmallFile.text(at: "\(root)/proc/vmstat").flatMap { SmallFile.value("oom_kill", in: $0) }.map {
            Int(clamping: $0)
        }
    }
}
