// Defines `granite-crash show`: one report, explained.

import ArgumentParser
import GraniteExport
import GraniteReport
import GraniteStore

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows why a worker died.",
        discussion: """
            granite-crash show last
            granite-crash show 01JDF3T8Q2 --threads
            granite-crash show last --json | jq '.threads[0].frames[] | .symbol'

            The first lines say what happened, why, and which request was
            being served. The stack follows, innermost function first, Python
            and native in one list.
            """)

    @Argument(help: ArgumentHelp("The report: an id, its first digits, or \"last\".", valueName: "id"))
    var reference = "last"

    @OptionGroup var store: StoreOptions
    @OptionGroup var terminal: TerminalOptions

    @Flag(help: "Print the stored JSON as it is (granite.crash/1).")
    var json = false

    @Flag(help: "Leave nothing out: every frame, full names, all source lines, all threads, the whole log tail.")
    var all = false

    @Flag(help: "Print the stacks of all threads.")
    var threads = false

    @Flag(help: "Print the crashed thread's registers.")
    var registers = false

    @Flag(help: "Print the local variables of Python functions (kept by granite serve --locals).")
    var locals = false

    @Flag(
        help: "First ask the servers of DEBUGINFOD_URLS for missing symbols, and complete the stored report with them.")
    var fetch = false

    func run() throws {
        try store.withStore { store in
            var stored = try store.load(reference)
            if fetch, let better = SymbolCompletion(store: store).complete(stored, fetch: true) {
                do throws(StoreError) {
                    try store.save(better)
                    stored = try store.load(better.id)
                } catch {
                    // Symbols that took minutes to fetch are worth showing all the same.
                    Output.complain("shown, not stored: \(error.description)")
                    stored = StoredReport(path: stored.path, bytes: better.encoded(), report: better)
                }
            }
            if json {
                Output.write(stored.bytes + (stored.bytes.last == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")]))
                return
            }
            var options = ReportText.Options()
            options.width = terminal.columns
            options.theme = terminal.theme
            options.all = all
            options.threads = threads
            options.locals = locals
            options.registers = registers || all
            // How often the bug came is worth a line, but no reason to fail.
            options.occurrences = stored.report.fingerprint.flatMap {
                try? store.occurrences(of: $0.hash, id: stored.report.id)
            }
            Output.write(ReportText(stored.report, options).rendered)
        }
    }
}
