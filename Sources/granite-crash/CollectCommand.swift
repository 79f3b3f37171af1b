// `granite-crash collect`: the collector of a server. The supervisor starts it; a person has no use for it, so help does not list it.

import ArgumentParser
import Glibc
import GraniteCollector
import GraniteCrashChannel
import GraniteStore

struct CollectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect", abstract: "Collect the crashes of a server's workers (started by granite serve).",
        shouldDisplay: false)

    @Option(help: "Descriptor of the control socket.")
    var controlFd: Int32 = 3

    @Option(help: "Folder for reports.")
    var crashDir: String

    @Option(help: "How much a report holds: \(BacktraceLevel.allCases.map(\.rawValue).joined(separator: ", ")).")
    var level = BacktraceLevel.full

    @Flag(help: "Keep local variables of the crashed thread's Python functions.")
    var locals = false

    func validate() throws {
        guard fcntl(controlFd, F_GETFD) >= 0 else {
            throw ValidationError(
                "Descriptor \(controlFd) is not open. `granite serve` starts the collector; to read reports use `granite-crash list`."
            )
        }
    }

    func run() throws {
        // A terminal sends these to the whole group, but the workers' last crashes are still to be reported: the supervisor ends the
        // collector by closing the socket. EFAULT and EPIPE are answers here, not ends.
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { signal(number, SIG_IGN) }
        let store = ReportStore(directory: CrashDirectory(path: crashDir))
        let collector = try Collector(
            controlDescriptor: controlFd, store: store, level: level.pageValue, withLocals: locals
        ) { sentence in
            let line = sentence + "\n"
            _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
        }
        collector.run()
    }
}

extension BacktraceLevel: ExpressibleByArgument {
    package init?(argument: String) { self.init(spelling: argument) }
}
