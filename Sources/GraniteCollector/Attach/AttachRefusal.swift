// Says why a process cannot be looked at, and what would help. Separate from the attempt, which only knows an errno.

import Glibc
import GraniteSymbols

enum AttachRefusal {
    /// What is known before any attempt; nil: it may be tried.
    static func before(_ pid: Int32) -> CollectorError? {
        if pid == getpid() { return CollectorError(.notAttachable, doing: "\(pid) is granite-crash itself") }
        let status = ProcFiles.status(of: pid)
        guard !status.isEmpty else { return CollectorError(.notAttachable, doing: "There is no process \(pid)") }
        if let process = status["Tgid"], process != "\(pid)" {
            return CollectorError(
                .notAttachable, doing: "\(pid) is a thread of process \(process): attach to \(process)")
        }
        // Threads may outlive the first one; a process that has none left is only waited for.
        if status["State"]?.hasPrefix("Z") == true, ProcFiles.threads(of: pid).count <= 1 {
            return CollectorError(
                .notAttachable,
                doing:
                    "Process \(pid) has ended already: its parent, \(status["PPid"] ?? "unknown"), has not waited for it"
            )
        }
        if status["Kthread"] == "1" || (status["VmSize"] == nil && status["State"]?.hasPrefix("Z") != true) {
            return CollectorError(
                .notAttachable, doing: "\(pid) is a thread of the kernel, which has no stack of its own to show")
        }
        if let tracer = status["TracerPid"].flatMap(Int32.init), tracer != 0 {
            let name = ProcFiles.name(of: tracer, in: tracer)
            return CollectorError(
                .notAttachable,
                doing:
                    "Process \(pid) is traced already, by process \(tracer)\(name.isEmpty ? "" : " (\(name))"): a process has one tracer at most"
            )
        }
        if let header = RegularFile.contents("/proc/\(pid)/exe", limit: 5), header.count == 5, header[4] == 1 {
            return CollectorError(
                .notAttachable, doing: "Process \(pid) runs a 32-bit program; only those of 64 bits can be read")
        }
        return nil
    }

    /// After ptrace(2) or /proc/PID/mem refused with an errno.
    static func after(_ pid: Int32, errno reason: Int32, yama: Int?, userID: UInt32 = geteuid()) -> CollectorError {
        guard reason == EPERM || reason == EACCES else {
            return reason == ESRCH
                ? CollectorError(.notAttachable, doing: "Process \(pid) ended meanwhile")
                : CollectorError(.notAttachable, errno: reason, doing: "Process \(pid) cannot be traced")
        }
        let prefix = "Process \(pid) may not be traced"
        switch yama {
        case 1 where userID != 0:
            return CollectorError(
                .notAttachable,
                doing:
                    "\(prefix): kernel.yama.ptrace_scope is 1, which allows a process's own parent alone. Run granite-crash as root or with CAP_SYS_PTRACE, or allow it with `sudo sysctl kernel.yama.ptrace_scope=0`"
            )
        case 2 where userID != 0:
            return CollectorError(
                .notAttachable,
                doing:
                    "\(prefix): kernel.yama.ptrace_scope is 2, which allows administrators alone. Run granite-crash as root or with CAP_SYS_PTRACE, or allow it with `sudo sysctl kernel.yama.ptrace_scope=0`"
            )
        case 3:
            return CollectorError(
                .notAttachable,
                doing:
                    "\(prefix): kernel.yama.ptrace_scope is 3, which forbids it to everybody until the next boot"
            )
        default:
            return CollectorError(
                .notAttachable,
                doing: userID == 0
                    ? "\(prefix): root lacks CAP_SYS_PTRACE here, or a security module forbids it (in a container, run it with --cap-add SYS_PTRACE)"
                    : "\(prefix) by user \(userID): it belongs to another user, or has more rights than you. Run granite-crash as root or with CAP_SYS_PTRACE"
            )
        }
    }

    /// kernel.yama.ptrace_scope; nil where there is no Yama.
    static var yama: Int? {
        RegularFile.contents("/proc/sys/kernel/yama/ptrace_scope", limit: 16).flatMap {
            Int(String(decoding: $0, as: UTF8.self).trimmingSuffix)
        }
    }
}

extension String {
    /// Without the line's end.
    fileprivate var trimmingSuffix: String { String(prefix { $0 != "\n" }) }
}
