// Decides how a process ended that is nobody's child here, from what is known of it, and whether its end is worth a report. Pure.

import Glibc

/// What was found out when a process was gone.
package struct EndEvidence: Sendable, Equatable {
    /// The status that run's own waitid(2) gave.
    package var fromRun: Int32?
    /// The status as the kernel keeps it for a pidfd or a zombie.
    package var fromKernel: Int32?
    /// The code that the process was about to exit with, by its page.
    package var notedExitCode: Int32?
    /// The signal of a fatal capture, by its page.
    package var fatalSignal: Int32?
    /// The OOM killer struck meanwhile where the process lived.
    package var oomKillerStruck = false

    package init() {}

    /// The status as waitpid(2) would give it; nil if nothing tells. A crash after exit(3), in a destructor, is a crash.
    package var waitStatus: Int32? {
        fromRun ?? fromKernel ?? fatalSignal ?? notedExitCode.map { ($0 & 0xff) << 8 }
    }

    /// Whether the end needs no report: the program ended as programs do, or as somebody wanted it to.
    ///
    /// - Parameter reportsExits: exit codes other than 0 and SIGKILL are wanted too.
    package func isOrdinary(reportsExits: Bool) -> Bool {
        guard let waitStatus else { return true }
        switch waitStatus & 0x7f {
        case 0: return waitStatus == 0 || !reportsExits
        case SIGTERM, SIGINT, SIGHUP, SIGPIPE: return true
        case SIGKILL: return !reportsExits && !oomKillerStruck
        default: return false
        }
    }

    /// Field 52 of /proc/PID/stat (proc(5)), the wait status; nil unless the process is a zombie.
    package static func waitStatus(ofZombie stat: String) -> Int32? {
        // A name may hold spaces and parentheses.
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace)
        guard fields.count > 49, fields[0] == "Z" || fields[0] == "X" else { return nil }
        return Int32(fields[49])
    }
}
