// Defines `granite-crash resymbolicate`: completes a report with symbols that were not at hand when the process crashed.

import ArgumentParser
import Glibc
import GraniteReport
import GraniteStore

struct ResymbolicateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resymbolicate",
        abstract: "Completes a report's names and lines with symbols that came later.",
        discussion: """
            granite-crash symbols add build/worker.debug
            granite-crash resymbolicate last
            granite-crash resymbolicate 01JDF3T8Q2 --fetch
            granite-crash resymbolicate 01JDF3T8Q2 --json > complete.json

            Works on any machine: a report has build-ids and offsets. Only files
            of exactly those builds are used. The stored report is replaced, all
            at once; its id and its time stay. Its group becomes that of the new
            names; the old one is in resymbolicated.previous_fingerprint.

            Exit codes: 0 done, also if there was nothing to add; otherwise as
            for granite-crash.
            """)

    @Argument(help: ArgumentHelp("The report: an id, its first digits, or \"last\".", valueName: "id"))
    var reference = "last"

    @OptionGroup var store: StoreOptions

    @Option(help: ArgumentHelp("A symbol store that is asked first, and that --fetch fills.", valueName: "directory"))
    var symbols: String?

    @Flag(help: "Ask the servers of DEBUGINFOD_URLS for what is missing. Nothing else ever uses the network.")
    var fetch = false

    @Flag(help: "Print the completed report as JSON, and leave the stored one as it is.")
    var json = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Write the completed report to a file, and leave the stored one as it is.", valueName: "file"))
    var output: String?

    func validate() throws {
        if json, output != nil { throw ValidationError("Choose one of --json and --output.") }
    }

    func run() throws {
        try store.withStore { store in
            let stored = try store.load(reference)
            let completion = SymbolCompletion(store: store, symbols: symbols)
            let better = completion.complete(stored, fetch: fetch)
            let report = better ?? stored.report
            if json {
                Output.write(report.encoded() + [UInt8(ascii: "\n")])
            } else if let output {
                try write(report.encoded() + [UInt8(ascii: "\n")], to: output)
            } else if better != nil {
                try store.save(report)
            }
            let count = better?.resymbolicated?.frames ?? 0
            let done = count == 0 ? "nothing to add" : "\(count) frame\(count == 1 ? "" : "s") completed"
            let rest = completion.remainder(of: report).map { " " + $0 } ?? ""
            Output.complain("\(report.id): \(done).\(rest)")
        }
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            Output.complain("Cannot write \(path): \(String(cString: strerror(errno))).")
            throw ExitCode(1)
        }
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                Output.complain("Cannot write \(path): \(String(cString: strerror(errno))).")
                throw ExitCode(1)
            }
            done += count
        }
    }
}
