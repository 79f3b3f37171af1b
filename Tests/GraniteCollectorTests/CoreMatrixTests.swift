// Every fatal crash of the matrix, without a handler and without a collector: the core that the kernel writes must tell the same.

import Foundation
import GraniteCollector
import GraniteReport
import GraniteSymbols
import TestSupport
import Testing

@Suite(
    .enabled(if: CoreDump.isWrittenByKernel, "the kernel's core_pattern gives cores to another program"),
    .timeLimit(.minutes(5)))
struct CoreMatrixTests {
    /// Cases that no core can show: a limit of the file size, which the core has to keep too; two processes that write one core; a handler
    /// that returns, after which nothing ends the program; one that the kernel cannot call, which hides the fault; one that ran on a stack of
    /// its own, which no core names, and had returned.
    static let others: Set<String> = [
        "file-limit", "crash-after-fork", "own-handler-returns", "own-handler-raw", "own-handler-sentry",
    ]

    static let entries = MatrixEntry.all.filter { entry in
        guard case .signal(let name) = entry.status, entry.kind == "signal", name != "SIGKILL",
            !others.contains(entry.name)
        else { return false }
        return entry.needs.map { MatrixLibraries.find($0) != nil } ?? true
    }

    static let speaking: Set<String> = [
        "cpp-uncaught", "cpp-uncaught-number", "cpp-noexcept", "cpp-pure-virtual", "rust-panic", "rust-panic-abort",
    ]

    @Test(.serialized, arguments: entries) func coreTellsWhatTheLiveReportTells(_ entry: MatrixEntry) async throws {
        let library = try await MatrixLibraries.shared.path(of: entry)
        let dump = try await CoreDump(
            ofDyingProgram: BuildProducts.executable("CrashProbe"),
            [entry.name, "--no-capture"] + (library.map { ["--argument", $0.path] } ?? []))
        let report = try CoreReport(CoreFile(path: dump.path)).make(symbolizer: Symbolizer())

        let reason = report.reason ?? ""
        #expect(report.kind == .signal)
        if case .signal(let name) = entry.status { #expect(report.signal?.name == name) }
        #expect(report.diagnosis?.category == entry.category, "\(reason)")
        #expect(report.diagnosis?.confidence == entry.confidence ?? "certain", "\(reason)")
        // What a program said on standard error is in no core.
        if !Self.speaking.contains(entry.name) { #expect(reason.hasPrefix(entry.reason ?? ""), "\(reason)") }
        let names = (report.threads?.first?.frames ?? []).map { $0.symbol ?? "?" }
        var rest = names[...]
        for wanted in entry.frames {
            let position = rest.firstIndex { $0 == wanted || $0.hasSuffix(" " + wanted) }
            #expect(position != nil, "\(wanted) is missing or out of order in \(names)")
            if let position { rest = rest[(position + 1)...] }
        }
        #expect(report.worker == nil)
        #expect(report.process?.program == "CrashProbe")
    }
}
