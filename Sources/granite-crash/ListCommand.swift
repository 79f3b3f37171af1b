// Defines `granite-crash list`: what crashed, the newest first.

import ArgumentParser
import GraniteExport
import GraniteReport
import GraniteStore

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists what crashed, the newest first.",
        discussion: """
            granite-crash list --limit 5
            granite-crash list --json | jq -r 'select(.signal.name == "SIGSEGV") | .id'

            GROUP is equal for crashes of the same bug. With --json each line is
            a granite.crash/1 object without threads, modules and logs.
            """)

    @OptionGroup var store: StoreOptions
    @OptionGroup var terminal: TerminalOptions

    @Option(help: "List at most so many.")
    var limit = 20

    @Flag(help: "Print one JSON object a line.")
    var json = false

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit is at least 1, for example --limit 20.") }
    }

    func run() throws {
        try store.withStore { store in
            // One more than is shown tells whether there are more.
            let found = try store.list(limit: limit < .max ? limit + 1 : limit)
            let shown = found.prefix(limit)
            if json {
                for listing in shown { Output.write(described(listing).encoded() + [UInt8(ascii: "\n")]) }
            } else if !shown.isEmpty {
                let rows = shown.map { ReportListText.Row(report: $0.report, damage: $0.damage) }
                Output.write(ReportListText(rows, width: terminal.columns, theme: terminal.theme).rendered)
                if found.count > shown.count { Output.write("The newest \(limit); older ones with --limit.\n") }
            }
            guard shown.isEmpty else { return }
            Output.complain("There are no crash reports in \(store.directory.path).")
            throw ExitCode(1)
        }
    }

    /// A damaged file as a report that says so.
    private func described(_ listing: ReportListing) -> CrashReport {
        var report = listing.report
        guard let damage = listing.damage else { return report }
        report.capture = CaptureInfo()
        report.capture?.incomplete = true
        report.capture?.errors = ["\(listing.path) cannot be read: \(damage)"]
        return report
    }
}
