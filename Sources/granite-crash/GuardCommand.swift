// `granite-crash guard`: the guardian of a run. `granite-crash run` starts it; a person has no use for it, so help does not list it.

import ArgumentParser
import Glibc
import GraniteCollector
import GraniteCrashChannel
import GraniteGuardian
import GraniteLinux
import GraniteStore

struct GuardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard", abstract: "Collect the crashes of a run's processes (started by granite-crash run).",
        shouldDisplay: false)

    @Option(help: "Folder for reports.")
    var crashDir: String

    @Option(help: "How much a report holds: \(BacktraceLevel.allCases.map(\.rawValue).joined(separator: ", ")).")
    var level = BacktraceLevel.full

    @Flag(help: "Keep local variables of the crashed thread's Python functions.")
    var locals = false

    @Flag(help: "Report exit codes other than 0, and SIGKILL, too.")
    var reportExits = false

    /// Descriptors that a captured process takes here, and those that are always open.
    private static let descriptorsPerProcess = 6
    private static let descriptorsElse = 128

    func validate() throws {
        for number in [GuardianProcess.listenerDescriptor, GuardianProcess.runDescriptor]
        where fcntl(number, F_GETFD) < 0 {
            throw ValidationError(
                "Descriptor \(number) is not open. `granite-crash run` starts the guardian; to run a program use that.")
        }
    }

    func run() throws {
        // It ends with the last process that it guards, not before. EFAULT and EPIPE are answers here, not ends.
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { signal(number, SIG_IGN) }
        // No directory is kept from being unmounted.
        chdir("/")
        let store = ReportStore(directory: CrashDirectory(path: crashDir))
        let (level, locals) = (level.pageValue, locals)
        let guardian = Guardian(
            listener: Descriptor(GuardianProcess.listenerDescriptor),
            run: Descriptor(GuardianProcess.runDescriptor), reportsExits: reportExits,
            maxProcesses: Self.maxProcesses()
        ) {
            // What the collector has to say is of its own work; the reports hold what matters.
            let control = try? CollectorThread.start(store: store, level: level, withLocals: locals) { _ in }
            return control.map { Descriptor($0) }
        }
        guardian.serve()
    }

    /// As many as there are descriptors for, once the limit is as high as it may be.
    private static func maxProcesses() -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return 128 }
        limit.rlim_cur = min(limit.rlim_max, 65536)
        _ = setrlimit(resource, &limit)
        _ = getrlimit(resource, &limit)
        return min(4096, max(16, (Int(clamping: limit.rlim_cur) - descriptorsElse) / descriptorsPerProcess))
    }
}
