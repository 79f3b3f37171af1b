// CrashStress: makes every crash of the matrix many times through one real collector and counts what is right. See
// Tests/Benchmarks/stress.

import ArgumentParser
import CLinux
import Foundation
import GraniteReport
import Synchronization

@main
struct CrashStress: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "CrashStress", abstract: "Crash many times and count the correct reports.")

    @Option(help: "The matrix of crashes; several may be given, the first that names a case counts.")
    var matrix: [String]

    @Option(help: "How often each case is made.")
    var rounds = 20

    @Option(help: "How often each of the ten most common cases is made instead; 0 = as the others.")
    var commonRounds = 0

    @Option(help: "How many crashes run at a time.")
    var parallel = 2

    @Option(help: "Only these cases.")
    var only: [String] = []

    @Option(help: "Sources of the libraries that some cases load.")
    var libraries = "Tests/CrashLibraries"

    @Option(help: "Folder where the last report of each case is kept as CASE.json.")
    var keep: String?

    @Flag(help: "Print JSON.")
    var json = false

    static let common = [
        "null-read", "null-write", "wild", "abort", "double-free", "swift-bounds", "swift-nil", "fatal-error",
        "stack-overflow-main", "threads-100",
    ]

    func run() throws {
        var cases: [MatrixCase] = []
        for path in matrix {
            for entry in try MatrixCase.load(path) where !cases.contains(where: { $0.name == entry.name }) {
                if only.isEmpty || only.contains(entry.name) { cases.append(entry) }
            }
        }
        guard !cases.isEmpty else { throw ValidationError("No case is left to run.") }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("granite-stress-\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }

        let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let probe = products.appendingPathComponent("CrashProbe").path
        let link = try CollectorLink(
            collector: products.appendingPathComponent("granite-crash").path,
            crashes: folder.appendingPathComponent("crashes").path, level: "full")
        if let keep { try FileManager.default.createDirectory(atPath: keep, withIntermediateDirectories: true) }
        var shelf = CrashLibraries(sources: URL(fileURLWithPath: libraries), folder: folder)
        var table = Table(json: json)
        for entry in cases {
            let argument = shelf.path(of: entry)
            guard
                entry.needs == nil || argument != nil
                    || (entry.library == nil && CrashLibraries.find(entry.needs!) != nil)
            else {
                table.skip(entry, "needs \(entry.needs ?? "")")
                continue
            }
            let count = commonRounds > 0 && Self.common.contains(entry.name) ? commonRounds : rounds
            let runs = runs(of: entry, argument: argument, count: count, probe: probe, link: link)
            table.add(entry, runs)
            if let keep, let report = runs.last?.report {
                try Data(report.encoded()).write(to: URL(fileURLWithPath: "\(keep)/\(entry.name).json"))
            }
        }
        // What comes now was said twice.
        let status = link.stop()
        table.finish(strays: link.strays, collectorStatus: status)
        if !table.isClean { throw ExitCode(1) }
    }

    /// `count` runs, `parallel` at a time.
    private func runs(of entry: MatrixCase, argument: String?, count: Int, probe: String, link: CollectorLink)
        -> [CrashRun]
    {
        let results = Mutex<[CrashRun]>([])
        let next = Atomic(0)
        withExtendedLifetime(next) {
            DispatchQueue.concurrentPerform(iterations: max(1, min(parallel, count))) { _ in
                while next.add(1, ordering: .relaxed).oldValue < count {
                    var run: CrashRun
                    do {
                        run = try CrashRun.perform(entry, argument: argument, probe: probe, link: link)
                    } catch {
                        run = CrashRun(faults: ["\(error)"])
                    }
                    if keep == nil { run.report = nil }
                    results.withLock { $0.append(run) }
                }
            }
        }
        return results.withLock { $0 }
    }
}
