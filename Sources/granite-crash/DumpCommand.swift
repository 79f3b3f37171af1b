// Defines `granite-crash dump`: the stacks of a live worker, which goes on.

import ArgumentParser
import Glibc
import GraniteCrashChannel
import GraniteExport
import GraniteStore

struct DumpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Shows what a live worker is doing, and lets it go on.",
        discussion: """
            granite-crash dump              the only worker of the only server
            granite-crash dump 2            worker 2 (its slot)
            granite-crash dump 4711         the worker with that pid
            granite-crash dump 2 --json | jq '.threads[] | .name, .state'

            The worker stands still for some milliseconds while its stacks are
            copied, then goes on. System calls of its threads are resumed; in
            C code nanosleep, poll, select and epoll_wait may end early with
            EINTR, which Python hides (PEP 475). The report is stored.
            """)

    @Argument(help: ArgumentHelp("The worker: its slot or its pid. (default: the only one)", valueName: "pid|slot"))
    var worker: Int32?

    @Option(help: ArgumentHelp("The server, where several use one directory.", valueName: "pid"))
    var server: Int32?

    @OptionGroup var store: StoreOptions
    @OptionGroup var terminal: TerminalOptions

    @Flag(help: "Print the report as JSON (granite.crash/1).")
    var json = false

    @Flag(name: .shortAndLong, help: "Print the report's id alone.")
    var quiet = false

    @Flag(help: "Print one stack only: of the thread that serves the oldest request, else of the first.")
    var brief = false

    func run() throws {
        try store.withStore { store in
            let servers = RunningServers(crashDirectory: store.directory.path)
            let id: String
            do throws(RunningServers.Refusal) {
                id = try servers.dump(worker, server: server)
            } catch {
                Output.complain(error.sentence)
                throw ExitCode(1)
            }
            if quiet { return Output.write("\(id)\n") }
            let stored = try store.load(id)
            if json {
                return Output.write(
                    stored.bytes + (stored.bytes.last == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")]))
            }
            var options = ReportText.Options()
            options.width = terminal.columns
            options.theme = terminal.theme
            options.threads = !brief
            Output.write(ReportText(stored.report, options).rendered)
        }
    }
}
