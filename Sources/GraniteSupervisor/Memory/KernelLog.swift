// Reads the kernel's log for one thing: which processes the OOM killer killed. It alone names the victim's pid.

import Glibc
import GraniteLinux
import GraniteReport

/// The kernel's log from now on (/dev/kmsg, Documentation/ABI/testing/dev-kmsg). Belongs to the supervisor's thread.
final class KernelLog {
    /// Records that are looked at between two deaths, at most: a machine that logs more says so in another place.
    private static let maxRecords = 20_000
    private static let maxKills = 256
    /// CONSOLE_EXT_LOG_MAX: the longest record.
    private static let recordBytes = 8192
    private static let marker = "Killed process "

    private let descriptor: Descriptor?
    private var kills: [OOMKillRecord] = []

    /// Records were overwritten before they were read, not long ago.
    var hasLostRecords: Bool { lastLoss.map { .now - $0 < Self.lossMemory } ?? false }
    private var lastLoss: ContinuousClock.Instant?
    /// Deaths whose record was lost are noticed within this time.
    private static let lossMemory = Duration.seconds(10)

    /// Whether a kill of one of our pids would be found: the log may be read, and its pids are numbered as ours.
    let isReadable: Bool

    /// - Parameters:
    ///   - path: /dev/kmsg but in tests.
    ///   - sharesPids: whether the pids in it mean the same here; nil asks the kernel.
    init(path: String = "/dev/kmsg", sharesPids: Bool? = nil) {
        let number = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard number >= 0, lseek(number, 0, SEEK_END) >= 0 else {
            if number >= 0 { close(number) }
            descriptor = nil
            isReadable = false
            return
        }
        descriptor = Descriptor(number)
        isReadable = sharesPids ?? Self.isInInitialPidNamespace
    }

    /// What the log says of the kill of `pid`. Waits for it as long as `patience`, at most a second: the kernel logs right after it kills.
    func kill(of pid: pid_t, patienceMilliseconds: Int32 = 0) -> OOMKillRecord? {
        guard isReadable, let descriptor else { return nil }
        readOn()
        if patienceMilliseconds > 0, !kills.contains(where: { $0.pid == Int(pid) }) {
            var news = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
            _ = poll(&news, 1, min(1000, patienceMilliseconds))
            readOn()
        }
        return kills.last { $0.pid == Int(pid) }
    }

    /// What it says of this pid until now is of no interest: a new process has it. A record of its own can come only later.
    func forget(_ pid: pid_t) {
        guard isReadable else { return }
        readOn()
        kills.removeAll { $0.pid == Int(pid) }
    }

    private func readOn() {
        guard let descriptor else { return }
        var buffer = [CChar](repeating: 0, count: Self.recordBytes + 1)
        for _ in 0..<Self.maxRecords {
            let count = read(descriptor.number, &buffer, Self.recordBytes)
            // EPIPE: records were overwritten before we came; the next read goes on after them.
            if count < 0 && errno == EPIPE { lastLoss = .now }
            if count < 0 && (errno == EPIPE || errno == EINTR) { continue }
            guard count > 0 else { break }
            buffer[count] = 0
            // Most records speak of other things.
            guard strstr(&buffer, Self.marker) != nil else { continue }
            for line in buffer[..<count].map({ UInt8(bitPattern: $0) }).split(separator: UInt8(ascii: "\n")) {
                if let kill = Self.kill(in: String(decoding: line, as: UTF8.self)) { kills.append(kill) }
            }
        }
        kills.removeFirst(max(0, kills.count - Self.maxKills))
    }

    /// Reads `6,1196,603158,-;Memory cgroup out of memory: Killed process 4711 (granite) total-vm:…kB, anon-rss:…kB, …` (mm/oom_kill.c,
    /// __oom_kill_process); nil for any other line.
    static func kill(in line: String) -> OOMKillRecord? {
        let text =
            line.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false).last.map(String.init) ?? line
        guard let start = text.range(of: marker) else { return nil }
        // A process may call itself anything, and a line of the log may be anybody's who may write to it: the kernel's begin so.
        let isCgroup = text.hasPrefix("Memory cgroup out of memory: ")
        guard isCgroup || text.hasPrefix("Out of memory") || start.lowerBound == text.startIndex else { return nil }
        guard let pid = Int(text[start.upperBound...].prefix { $0.isNumber }), pid > 0 else { return nil }
        var record = OOMKillRecord()
        record.pid = pid
        // What comes after the sizes of memory is of no use here.
        record.text = String(text[..<(text.range(of: ", shmem-rss:")?.lowerBound ?? text.endIndex)].prefix(512))
        record.wholeSystem = isCgroup ? false : text.hasPrefix("Out of memory") ? true : nil
        if let anonymous = text.range(of: "anon-rss:") {
            record.anonymousBytes = UInt64(text[anonymous.upperBound...].prefix { $0.isNumber }).flatMap {
                let (bytes, overflow) = $0.multipliedReportingOverflow(by: 1024)
                return overflow ? nil : bytes
            }
        }
        return record
    }

    /// The initial pid namespace has the inode PROC_PID_INIT_INO (include/linux/proc_ns.h). In any other, our pids are not the log's.
    private static var isInInitialPidNamespace: Bool {
        var file = stat()
        return stat("/proc/self/ns/pid", &file) == 0 && file.st_ino == 0xEFFF_FFFC
    }
}

extension String {
    /// The first place of `text`; what Foundation would do, which the supervisor does without.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
