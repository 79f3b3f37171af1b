// Reads how often the kernel's OOM killer struck: a process that it killed looks like one that somebody killed.

import Glibc
import GraniteLinux

/// The counters of the guardian's own cgroup, which its run's processes share unless they move, and of the machine. Belongs to one thread.
struct OOMCounters {
    private let cgroupFile: String?
    private var moves = OOMMoves()

    init() {
        let lines = (SmallFile.text(at: "/proc/self/cgroup") ?? "").split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }.filter { $0.count == 3 }
        if let line = lines.first(where: { $0[1].split(separator: ",").contains("memory") }) {
            cgroupFile = "/sys/fs/cgroup/memory\(line[2])/memory.oom_control"
        } else {
            cgroupFile = lines.first { $0[0] == "0" }.map { "/sys/fs/cgroup\($0[2])/memory.events" }
        }
    }

    /// Looks at them: often, so that a move has its time.
    ///
    /// - Parameters:
    ///   - now: CLOCK_MONOTONIC, nanoseconds.
    ///   - isGuarding: whether a process has lived since they were looked at last.
    mutating func sample(now: UInt64, isGuarding: Bool) {
        moves.note(
            cgroup: cgroupFile.flatMap(Self.kills), system: Self.kills(in: "/proc/vmstat"), at: now,
            isGuarding: isGuarding)
    }

    /// How far each has moved lately; nil if it cannot be read.
    func recent(now: UInt64) -> (cgroup: Int?, system: Int?) { moves.recent(at: now) }

    private static func kills(in file: String) -> Int? {
        SmallFile.text(at: file).flatMap { SmallFile.value("oom_kill", in: $0) }.map { Int(clamping: $0) }
    }
}

/// When the counters moved. Several processes may die of one strike, and a strike of long ago is nobody's cause of death now. Pure.
package struct OOMMoves: Sendable {
    /// A victim's end follows its kill within this, in nanoseconds.
    package static let span: UInt64 = 5_000_000_000
    /// Moves that are kept; each is of a turn of its own.
    static let limit = 256

    private var last: (time: UInt64, cgroup: Int?, system: Int?)?
    private var moves: [(time: UInt64, cgroup: Int, system: Int)] = []

    package init() {}

    /// The counters stand so at `now`; nil: cannot be read.
    package mutating func note(cgroup: Int?, system: Int?, at now: UInt64, isGuarding: Bool) {
        let before = last
        last = (now, cgroup, system)
        moves.removeAll { now &- $0.time > Self.span }
        guard let before else { return }
        // Nobody looked for long, as there was nobody to look after: when it moved is not known.
        guard isGuarding || now &- before.time <= Self.span else { return }
        let move = (
            time: now, cgroup: Self.difference(before.cgroup, cgroup), system: Self.difference(before.system, system)
        )
        guard move.cgroup > 0 || move.system > 0 else { return }
        if moves.count >= Self.limit { moves.removeFirst() }
        moves.append(move)
    }

    /// How far each moved in the ``span`` before `now`; nil if it cannot be read.
    package func recent(at now: UInt64) -> (cgroup: Int?, system: Int?) {
        let recent = moves.filter { now &- $0.time <= Self.span }
        return (
            last?.cgroup.map { _ in recent.reduce(0) { $0 &+ $1.cgroup } },
            last?.system.map { _ in recent.reduce(0) { $0 &+ $1.system } }
        )
    }

    private static func difference(_ before: Int?, _ now: Int?) -> Int {
        guard let before, let now else { return 0 }
        return max(0, now &- before)
    }
}
