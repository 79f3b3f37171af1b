// `granite-crash list` and `show` as programs: what they print where, and the exit codes that scripts rely on.

import Foundation
import GraniteReport
import GraniteStore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct CrashCommandTests {
    let folder: TemporaryDirectory
    let store: ReportStore

    init() throws {
        folder = try TemporaryDirectory()
        store = ReportStore(directory: CrashDirectory(path: folder.file("crashes").path))
    }

    private func run(_ arguments: String..., environment: [String: String?] = [:]) async throws -> (
        ending: Command.Ending, output: String, errors: String
    ) {
        try await Command.run(
            BuildProducts.executable("granite-crash"), arguments,
            environment: ["GRANITE_CRASH_DIR": store.directory.path, "NO_COLOR": nil].merging(environment) { $1 })
    }

    private func report(_ number: UInt64) -> CrashReport {
        var report = CrashReport(id: ULID.make(milliseconds: 1_700_000_000_000, randomHigh: 0, randomLow: number))
        report.kind = .exit
        report.reason = "It called exit."
        return report
    }

    @Test func showPrintsTextAndTheStoredJSONAsItIs() async throws {
        try store.save(report(1))
        let text = try await run("show", "last")
        #expect(text.ending == .code(0))
        #expect(
            text.output == """
                *** granite crash \(report(1).id) · a process ended, how is not known
                    It called exit.

                No stack: it ended by exit(3) or _exit(2), which no handler sees.

                """)
        let json = try await run("show", report(1).id, "--json")
        #expect(json.output == String(decoding: report(1).encoded(), as: UTF8.self) + "\n")
        let color = try await run("show", "--color", "always", environment: ["NO_COLOR": "1"])
        #expect(color.output.hasPrefix("\u{1B}[1;31m*** granite crash"))
    }

    @Test func listPrintsATableOrOneObjectALine() async throws {
        for number in UInt64(1)...3 { try store.save(report(number)) }
        let table = try await run("list", "--limit", "2")
        #expect(table.ending == .code(0))
        #expect(table.output.split(separator: "\n").count == 6)
        #expect(table.output.hasSuffix("The newest 2; older ones with --limit.\n"))
        let json = try await run("list", "--json")
        let lines = try json.output.split(separator: "\n").map { try CrashReport.decode(Array($0.utf8)) }
        #expect(lines.map(\.id) == [3, 2, 1].map { report($0).id })
    }

    /// It died of SIGPIPE, which pipefail takes for a failure.
    @Test(arguments: ["show --json", "list --json"])
    func aReaderThatWentAwayIsNoError(arguments: String) async throws {
        var report = report(1)
        report.reason = String(repeating: "x", count: 1 << 20)
        try store.save(report)
        let piped = try await Command.run(
            URL(fileURLWithPath: "/bin/bash"),
            [
                "-c", #""$0" \#(arguments) | head -c 1; exit "${PIPESTATUS[0]}""#,
                BuildProducts.executable("granite-crash").path,
            ],
            environment: ["GRANITE_CRASH_DIR": store.directory.path])
        #expect(piped.ending == .code(0))
        #expect(piped.output == "{")
        #expect(piped.errors.isEmpty)
    }

    @Test func exitCodesTellWhatIsWrong() async throws {
        let none = try await run("show", "last")
        #expect(none.ending == .code(1))
        #expect(none.errors == "granite-crash: There are no crash reports in \(store.directory.path).\n")
        #expect(try await run("list").ending == .code(1))
        try store.save(report(1))
        #expect(try await run("show", "7ZZ").ending == .code(1))
        #expect(try await run("show", "../x").ending == .code(64))
        #expect(try await run("list", "--limit", "0").ending == .code(64))
        #expect(try await run("show", "--width", "7").ending == .code(64))
        try folder.write("{", to: "crashes/\(report(2).id).json")
        let damaged = try await run("show", report(2).id)
        #expect(damaged.ending == .code(65))
        #expect(damaged.output.isEmpty)
        let listed = try await run("list")
        #expect(listed.ending == .code(0))
        #expect(listed.output.contains("damaged"))
    }
}
