// Defines how a command that made a report prints it: explained, as JSON, or its id alone.

import ArgumentParser
import GraniteExport
import GraniteReport
import GraniteStore

struct ReportOutput: ParsableArguments {
    @OptionGroup var terminal: TerminalOptions

    @Flag(help: "Print the report as JSON (granite.crash/1).")
    var json = false

    @Flag(name: .shortAndLong, help: "Print the report's id alone.")
    var quiet = false

    @Flag(help: "Print one stack only: of the thread that the report is about.")
    var brief = false

    /// Stores the report, and prints it. One that cannot be stored is printed all the same, before the error goes on.
    func publish(_ report: CrashReport, in store: ReportStore) throws {
        let failure: StoreError?
        do throws(StoreError) {
            _ = try store.save(report)
            failure = nil
        } catch {
            failure = error
        }
        if !(quiet && failure != nil) { show(report) }
        if let failure { throw failure }
    }

    private func show(_ report: CrashReport) {
        if quiet { return Output.write("\(report.id)\n") }
        if json { return Output.write(report.encoded() + [UInt8(ascii: "\n")]) }
        var options = ReportText.Options()
        options.width = terminal.columns
        options.theme = terminal.theme
        options.threads = !brief
        Output.write(ReportText(report, options).rendered)
    }
}
