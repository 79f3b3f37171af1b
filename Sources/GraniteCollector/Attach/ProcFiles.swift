// Reads what /proc tells of a process that is looked at from outside (proc(5)): its threads, its map, its state, its age.

import Glibc
import GraniteSymbols

enum ProcFiles {
    static let maxMapBytes = 16 << 20

    /// Thread ids, in the order of the kernel: the first thread first.
    static func threads(of pid: Int32) -> [Int32] {
        guard let folder = opendir("/proc/\(pid)/task") else { return [] }
        defer { closedir(folder) }
        var threads: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let thread = Int32(name) { threads.append(thread) }
        }
        return threads
    }

    static func map(of pid: Int32) -> [UInt8] { RegularFile.contents("/proc/\(pid)/maps", limit: maxMapBytes) ?? [] }

    static func name(of thread: Int32, in pid: Int32) -> String {
        let bytes = RegularFile.contents("/proc/\(pid)/task/\(thread)/comm", limit: 64) ?? []
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// `R`, `S`, `D`, …; nil if it is gone.
    static func state(of thread: Int32, in pid: Int32) -> Character? {
        let bytes = RegularFile.contents("/proc/\(pid)/task/\(thread)/stat", limit: 512) ?? []
        let text = String(decoding: bytes, as: UTF8.self)
        return text.lastIndex(of: ")").flatMap { text[$0...].dropFirst(2).first }
    }

    /// A line of /proc/PID/status, without its name.
    static func status(of pid: Int32) -> [String: String] {
        let text = String(decoding: RegularFile.contents("/proc/\(pid)/status", limit: 64 << 10) ?? [], as: UTF8.self)
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            values[String(line[..<colon])] = String(value)
        }
        return values
    }

    /// Whether the process has a handler for a signal.
    static func catches(_ signal: Int32, _ pid: Int32) -> Bool {
        guard let mask = status(of: pid)["SigCgt"].flatMap({ UInt64($0, radix: 16) }), (1...64).contains(signal) else {
            return false
        }
        return mask >> (signal - 1) & 1 == 1
    }

    /// Resident memory in bytes; 0 if it is not known.
    static func residentBytes(of pid: Int32) -> UInt64 {
        guard let field = status(of: pid)["VmRSS"]?.split(separator: " ").first, let kilobytes = UInt64(field) else {
            return 0
        }
        return kilobytes &* 1024
    }

    /// CLOCK_REALTIME when it began; 0 if it is not known.
    static func startedNanoseconds(of pid: Int32) -> UInt64 {
        let text = String(decoding: RegularFile.contents("/proc/\(pid)/stat", limit: 4096) ?? [], as: UTF8.self)
        // The name in parentheses may hold anything, a parenthesis too. The start is field 22, the 20th behind it, in ticks since boot.
        guard let end = text.lastIndex(of: ")") else { return 0 }
        let fields = text[text.index(after: end)...].split(separator: " ")
        let ticksPerSecond = sysconf(Int32(_SC_CLK_TCK))
        guard fields.count > 19, let ticks = UInt64(fields[19]), ticksPerSecond > 0 else { return 0 }
        let sinceBoot = ticks / UInt64(ticksPerSecond) &* 1_000_000_000
        let (now, boot) = (nanoseconds(CLOCK_REALTIME), nanoseconds(CLOCK_BOOTTIME))
        return boot >= sinceBoot && now >= boot - sinceBoot ? now - (boot - sinceBoot) : 0
    }

    static func nanoseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(max(0, time.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, time.tv_nsec))
    }
}
