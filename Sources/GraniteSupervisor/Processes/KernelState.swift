// Reads what the kernel says a process is doing. It is separate because it is all that can be told of one that runs no code of its own.

import Glibc
import GraniteLinux

/// Facts of /proc/PID (proc(5)) about a child that was not reaped: its pid is still its own.
enum KernelState {
    /// At most so many threads are looked at.
    private static let maxThreads = 4096

    /// Its threads, the first one first.
    static func threads(pid: Int32) -> [Int32] {
        guard let stream = opendir("/proc/\(pid)/task") else { return [] }
        defer { closedir(stream) }
        var threads: [Int32] = []
        while threads.count < maxThreads, let entry = readdir(stream) {
            // SAFETY: d_name is NUL-terminated within its 256 bytes (readdir(3)), and the entry lives until the next call.
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let thread = Int32(name) { threads.append(thread) }
        }
        return threads.sorted()
    }

    /// Whether the process has a handler for the signal now; nil if that cannot be read.
    static func catches(signal: Int32, pid: Int32) -> Bool? {
        SmallFile.text(at: "/proc/\(pid)/status", limit: 16 << 10).flatMap { catches(signal: signal, status: $0) }
    }

    /// SigCgt of /proc/PID/status: a hexadecimal mask, signal 1 is bit 0.
    static func catches(signal: Int32, status: String) -> Bool? {
        guard (1...64).contains(signal),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("SigCgt:") }),
            let word = line.split(whereSeparator: { $0 == "\t" || $0 == " " }).last, let mask = UInt64(word, radix: 16)
        else { return nil }
        return mask >> UInt64(signal - 1) & 1 == 1
    }

    /// `it is stopped (state T)`, `all of its 3 threads are blocked in the kernel (state D)`: why it does not answer.
    static func phrase(pid: Int32) -> String {
        let states = threads(pid: pid).compactMap { thread in
            SmallFile.text(at: "/proc/\(pid)/task/\(thread)/stat", limit: 4096).flatMap(state)
        }
        guard let first = states.first else { return "it is gone" }
        if states.allSatisfy({ $0 == "T" || $0 == "t" }) {
            return first == "t"
                ? "a debugger has stopped it (state t)" : "it is stopped (state T; kill -CONT \(pid) lets it go on)"
        }
        if states.allSatisfy({ $0 == "D" }) {
            return states.count == 1
                ? "it is blocked in the kernel (state D)"
                : "all of its \(states.count) threads are blocked in the kernel (state D)"
        }
        let blocked = states.filter { $0 == "D" }.count
        if blocked > 0 { return "\(blocked) of its \(states.count) threads are blocked in the kernel (state D)" }
        return "its state is \(first); it may have taken the signal away from Granite"
    }

    /// The state's letter: behind the last parenthesis, as a name may hold some.
    static func state(stat: String) -> Character? {
        guard let end = stat.lastIndex(of: ")") else { return nil }
        return stat[stat.index(after: end)...].first { $0 != " " }
    }
}
