// Every crash of the matrix, made for real, through a real collector, to a stored report.

import Foundation
import GraniteReport
import GraniteStore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct CrashMatrixTests {
    @Test func matrixIsReadable() throws {
        let entries = try MatrixEntry.load()
        #expect(entries.count > 20)
        #expect(Set(entries.map(\.name)).count == entries.count, "each case has one line")
    }

    // One at a time: a worker is held for a bounded time only, and a machine that runs all at once is too slow for it.
    @Test(.serialized, arguments: MatrixEntry.all.filter { $0.needs.map { MatrixLibraries.find($0) != nil } ?? true })
    func namedCrashIsReportedAsTheMatrixSays(_ entry: MatrixEntry) async throws {
        let library = try await MatrixLibraries.shared.path(of: entry)
        let outcome = try await FakeSupervisor.onThread { try Self.run(entry, library: library) }

        switch entry.status {
        case .code(let code): #expect(outcome.status == Int32(code) << 8)
        case .signal(let name): #expect(SignalName.name(Int(outcome.status & 0x7f)) == name)
        }
        #expect(outcome.reports.count == entry.reports)
        #expect(outcome.stored == entry.reports)
        for report in outcome.reports { Self.check(report, entry) }
    }

    private static func check(_ report: CrashReport, _ entry: MatrixEntry) {
        let reason = report.reason ?? ""
        #expect(report.kind?.rawValue == entry.kind)
        #expect(report.diagnosis?.category == entry.category, "\(reason)")
        #expect(report.diagnosis?.confidence == entry.confidence ?? "certain", "\(reason)")
        #expect(reason.hasPrefix(entry.reason ?? ""), "\(reason)")
        let said = [reason] + (report.diagnosis?.evidence ?? [])
        for text in entry.evidence ?? [] {
            #expect(said.contains { $0.contains(text) }, "\(text) is not in \(said)")
        }
        #expect((report.capture?.incomplete == true) == (entry.incomplete == true), "\(report.capture?.errors ?? [])")
        let thread = report.threads?.first
        let names = (thread?.frames ?? []).map { $0.symbol ?? "?" }
        var rest = names[...]
        for wanted in entry.frames {
            let position = rest.firstIndex { Self.matches($0, wanted) }
            #expect(position != nil, "\(wanted) is missing or out of order in \(names)")
            if let position { rest = rest[(position + 1)...] }
        }
        if case .signal = entry.status, !entry.frames.isEmpty {
            #expect(thread?.crashed == true)
            #expect(thread?.registers?.isEmpty == false)
            #expect(report.process?.exit?.signal == report.signal?.name)
        }
        if entry.category == Diagnosis.Category.stackOverflow.rawValue {
            // Small frames of a release build may be more than a walk looks at; then its outer end is not reached, and it says so.
            #expect(thread?.folded.map { $0.repeats > 64 } == true)
            if let length = thread?.folded?.length, entry.cycle != 0 { #expect(length == entry.cycle ?? 1) }
            let reachedItsEnd = names.contains { $0.hasPrefix("clone") || $0 == "_start" || $0 == "__start_context" }
            #expect((thread?.folded?.atLeast == true) == !reachedItsEnd, "\(names)")
        }
    }

    /// The optimizer makes copies of Swift functions, `specialized f()`; those are the function all the same.
    private static func matches(_ symbol: String, _ wanted: String) -> Bool {
        symbol == wanted || symbol.hasSuffix(" " + wanted)
    }

    /// A folder that keeps each case's report, for whoever wants to read them all.
    private static let keptReports = Foundation.ProcessInfo.processInfo.environment["GRANITE_TEST_KEEP_REPORTS"]

    private struct Outcome: Sendable {
        var status: Int32
        var reports: [CrashReport]
        /// Reports in the store once the collector has ended.
        var stored: Int
    }

    private static func run(_ entry: MatrixEntry, library: URL?) throws -> Outcome {
        let supervisor = try FakeSupervisor()
        let log = supervisor.directory.file("log")
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        let errors = try FileHandle(forWritingTo: log)
        let worker = try supervisor.spawnWorker(
            entry.name, arguments: library.map { ["--argument", $0.path] } ?? [], errors: errors.fileDescriptor)
        defer { supervisor.release(worker) }
        try supervisor.watch(worker)
        // A capture that the worker survives is reported while it goes on.
        var reports: [CrashReport] = []
        let survives = if case .code(0) = entry.status { true } else { false }
        if survives { for _ in 0..<entry.reports { reports.append(try supervisor.receiveReport().report) } }
        let status = try supervisor.reap(worker, logFile: log, expected: survives)
        if !survives { for _ in 0..<entry.reports { reports.append(try supervisor.receiveReport().report) } }
        _ = supervisor.stopCollector()
        if let folder = Self.keptReports, let report = reports.first {
            try FileManager.default.copyItem(
                atPath: supervisor.store.path(of: report.id), toPath: "\(folder)/\(entry.name).json")
        }
        return Outcome(status: status, reports: reports, stored: try supervisor.store.list().count)
    }
}
