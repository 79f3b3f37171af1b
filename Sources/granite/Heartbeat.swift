// What a worker does about once a second, on the loop's thread, outside the application.

import CLinux
import Glibc
import GraniteCapture
import GraniteLogging
import GraniteSupervisor

/// Keeps the crash page fresh, and notices when the supervisor is gone.
final class Heartbeat: @unchecked Sendable {  // called by the loop alone, which is on one thread at a time
    private let statistics: Int32
    private let pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE)))
    /// The server's eventfd: written when the supervisor is gone. Set before the server runs.
    var stopDescriptor: Int32 = -1

    /// An eventfd: SIGUSR1 is noted on it, to open the log file again.
    let reopenDescriptor = granite_eventfd()
    private let log: LogOutput
    private let growth: GrowthWatch

    init(log: LogOutput, growth: GrowthWatch) {
        self.log = log
        self.growth = growth
        statistics = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    }

    deinit {
        if statistics >= 0 { close(statistics) }
        if reopenDescriptor >= 0 { close(reopenDescriptor) }
    }

    func beat() {
        let now = granite_monotonic_ns()
        Capture.setHeartbeat(monotonicNanoseconds: now)
        if let bytes = residentBytes() {
            Capture.setResidentBytes(bytes)
            let objects = growth.observe(nanoseconds: now, residentBytes: bytes)
            Capture.noteMemory(monotonicNanoseconds: now, residentBytes: bytes, pythonObjects: objects)
        }
        Capture.refreshModules()
        reopenLogIfAsked()
        var status = pollfd(fd: WorkerDescriptor.status, events: 0, revents: 0)
        if poll(&status, 1, 0) > 0, Int32(status.revents) & POLLHUP != 0 {
            var one: UInt64 = 1
            _ = write(stopDescriptor, &one, 8)
        }
    }

    /// After a rotation moved the file away. One that cannot be opened is the supervisor's to tell of, which tries the same.
    private func reopenLogIfAsked() {
        var notes: UInt64 = 0
        guard read(reopenDescriptor, &notes, 8) == 8 else { return }
        try? log.reopen()
    }

    /// The second number of /proc/self/statm, in pages (proc(5)).
    private func residentBytes() -> UInt64? {
        var text = [UInt8](repeating: 0, count: 128)
        let count = pread(statistics, &text, text.count, 0)
        guard count > 0 else { return nil }
        let fields = String(decoding: text.prefix(count), as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return nil }
        return pages &* pageBytes
    }
}
