// Defines a process that said hello as the guardian holds it: its page, its end of the memory socket, and a pidfd that tells of its end.

import CGraniteCapture
import CLinux
import Glibc
import GraniteCrashChannel
import GraniteLinux
import GraniteReport

/// Belongs to the guardian's thread.
final class GuardedProcess {
    let crashID: String
    let identity: CapturedProcess
    let page: CrashPage
    /// nil where the process was gone already.
    let pidfd: Descriptor?
    let greeted = granite_monotonic_ns()
    /// The page and the memory socket on their way to the collector; nil once they are sent.
    var handover: [Descriptor]?
    /// The collector's word for what it died of, told by its page or by the kernel.
    var deathSignal: Int32?
    /// Samples of its memory that were taken.
    private var samples = 0

    init(
        crashID: String, identity: CapturedProcess, page: CrashPage, pidfd: Descriptor?, handover: [Descriptor]
    ) {
        self.crashID = crashID
        self.identity = identity
        self.page = page
        self.pidfd = pidfd
        self.handover = handover
    }

    /// Whether the process is gone, a zombie included.
    var hasEnded: Bool {
        guard let pidfd else { return true }
        var request = pollfd(fd: pidfd.number, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, 0) > 0
    }

    /// What the kernel and the page tell of its end.
    func evidence(fromRun: Int32?) -> EndEvidence {
        var evidence = EndEvidence()
        evidence.fromRun = fromRun
        evidence.fromKernel = kernelStatus
        evidence.notedExitCode = (try? page.status())?.exitCode
        evidence.fatalSignal = fatalSignal
        return evidence
    }

    /// How many captures the page tells of.
    var captures: Int {
        guard let capture = try? page.capture(), capture.stage > .idle else { return 0 }
        return Int(capture.sequence)
    }

    /// The signal of a fatal capture.
    var fatalSignal: Int32? {
        guard let capture = try? page.capture(), capture.stage > .idle, capture.kind == .signal,
            (1...64).contains(capture.signalNumber)
        else { return nil }
        return capture.signalNumber
    }

    /// Writes its resident size into its page, over the oldest sample where there is no more room.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    func sampleMemory(now: UInt64) {
        // The second field of statm counts resident pages (proc(5)).
        let fields = SmallFile.text(at: "/proc/\(identity.pid)/statm", limit: 256)?.split(separator: " ") ?? []
        guard fields.count > 1, let pages = UInt64(fields[1]), pages > 0 else { return }
        page.noteMemory(
            slot: samples % Int(GRANITE_MAX_TREND), nanoseconds: now, residentBytes: pages &* Self.pageBytes)
        samples += 1
    }

    private static let pageBytes = UInt64(sysconf(Int32(_SC_PAGESIZE)))

    /// What was counted more often than it was captured.
    var uncaptured: [CountedOccasion] {
        ((try? page.occasions()) ?? []).filter { $0.count > $0.captured }.map(CountedOccasion.init)
    }

    private var kernelStatus: Int32? {
        guard let pidfd else { return nil }
        var status: Int32 = 0
        if granite_pidfd_wait_status(pidfd.number, &status) == 1 { return status }
        return SmallFile.text(at: "/proc/\(identity.pid)/stat", limit: 4096).flatMap(EndEvidence.waitStatus(ofZombie:))
    }
}
