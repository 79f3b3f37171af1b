// Defines `granite-crash attach`: the stacks of any running process, which goes on.

import ArgumentParser
import GraniteCollector
import GraniteReport
import GraniteStore
import GraniteSymbols

struct AttachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Shows what any running process is doing, and lets it go on.",
        discussion: """
            granite-crash attach 4711
            granite-crash attach 4711 --watch
            granite-crash attach 4711 --json | jq '.threads[] | .name, .state'

            The process needs no preparation. It stands still for some
            milliseconds while its stacks are copied, then goes on; the report
            is made meanwhile, and stored. Its system calls are resumed, those
            of epoll_wait from their beginning; what signal(7) lists besides
            (semtimedop, io_getevents, inotify's and sockets' reads with a
            time-out) may end with EINTR, as with every debugger.

            With --watch it stays until the process ends. The process runs at
            full speed; if it dies of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT,
            SIGTRAP or SIGSYS, its last moment becomes a report. Signals reach
            it as ever, its children are not followed, and it outlives
            granite-crash.

            Needs the rights of a debugger: the same user where
            kernel.yama.ptrace_scope is 0, else root or CAP_SYS_PTRACE.

            Exit codes: 0 done; 1 no such process, or it may not be traced;
            64 wrong usage.
            """)

    @Argument(help: ArgumentHelp("The process.", valueName: "pid"))
    var pid: Int32

    @Flag(help: "One dump, then let it go. This is what happens without --watch.")
    var once = false

    @Flag(help: "Stay until the process ends, and report why it died.")
    var watch = false

    @OptionGroup var store: StoreOptions
    @OptionGroup var output: ReportOutput

    func validate() throws {
        if once, watch { throw ValidationError("Choose one of --once and --watch.") }
        if pid <= 0 { throw ValidationError("A pid is a positive number, for example: granite-crash attach 4711.") }
    }

    func run() throws {
        try store.withStore { store in
            let report: CrashReport?
            do throws(CollectorError) {
                report = try watch ? awaitDeath(store) : AttachReport(pid: pid).make(symbolizer: .beside(store))
            } catch {
                Output.complain(error.description)
                throw ExitCode(1)
            }
            if let report { try output.publish(report, in: store) }
        }
    }

    /// nil if it ended otherwise than by a crash, which is said in a line.
    private func awaitDeath(_ store: ReportStore) throws(CollectorError) -> CrashReport? {
        let watch = try DeathWatch(pid: pid)
        Output.complain("Watching process \(pid).")
        let ending = watch.wait()
        if let report = watch.report(of: ending, symbolizer: .beside(store)) { return report }
        switch ending {
        case .code(let code): Output.complain("Process \(pid) exited with code \(code).")
        case .signal(let number): Output.complain("Process \(pid) was ended by \(SignalName.name(Int(number))).")
        case .lost: Output.complain("Process \(pid) is gone.")
        }
        return nil
    }
}
