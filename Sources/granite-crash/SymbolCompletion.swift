// Defines how commands complete a report: which symbols they look at, and what they say while they fetch.

import Glibc
import GraniteCollector
import GraniteReport
import GraniteStore
import GraniteSymbols

struct SymbolCompletion {
    let store: ReportStore
    /// Asked before the default stores; new files go there.
    var symbols: String?

    /// The report with what can be told more about it now; nil if that is nothing. With `fetch` servers are asked first for the debug
    /// files of all builds in its stacks that have none here. What goes wrong with them is said, and no reason to fail.
    func complete(_ stored: StoredReport, fetch: Bool) -> CrashReport? {
        if fetch { fetchMissing(of: stored.report) }
        var resymbolicator = Resymbolicator(symbolizer: makeSymbolizer())
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = UInt64(max(0, time.tv_sec)) &* 1_000_000_000 &+ UInt64(max(0, time.tv_nsec))
        let (report, frames) = resymbolicator.complete(stored.report, time: Timestamp.rfc3339(nanoseconds: now))
        return frames > 0 ? report : nil
    }

    /// One sentence on the frames that are still without a name; nil if there are none.
    func remainder(of report: CrashReport) -> String? {
        let missing = Resymbolicator(symbolizer: makeSymbolizer()).missing(in: report)
        guard !missing.isEmpty else { return nil }
        return "No debug information for "
            + missing.prefix(8).map { "\(SourcePath.name($0.path)) (build-id \(BuildID.text($0.buildID)))" }
            .joined(separator: ", ") + (missing.count > 8 ? " and \(missing.count - 8) more." : ".")
    }

    private func makeSymbolizer() -> Symbolizer {
        // The collector's indexes serve here, too; they are of the same builds.
        Symbolizer(
            options: .init(
                symbolStores: (symbols.map { [$0] } ?? []) + SymbolStore.defaultFolders, indexFolder: .beside(store)))
    }

    private func fetchMissing(of report: CrashReport) {
        let missing = Resymbolicator(symbolizer: makeSymbolizer()).missing(in: report)
        guard !missing.isEmpty else { return }
        let meter = FetchMeter()
        let target = SymbolStore.chosen(option: symbols)
        do {
            let client = try DebuginfodClient(
                servers: getenv("DEBUGINFOD_URLS").map { String(cString: $0) } ?? "", progress: meter.show)
            let fetch = SymbolFetch(client: client, store: target)
            for (path, buildID) in missing {
                let name = "\(SourcePath.name(path)) (build-id \(BuildID.text(buildID)))"
                meter.begin(name)
                do {
                    let file = try fetch.fetch(buildID: buildID)
                    meter.end()
                    Output.complain("\(name): fetched to \(file)")
                } catch {
                    meter.end()
                    Output.complain("\(name): not fetched: \(error)")
                }
            }
        } catch {
            Output.complain("Nothing was fetched: \(error)")
        }
    }
}

/// Says how far a transfer is, on a terminal only: a line that is written over, a few times a second.
private final class FetchMeter {
    private var name = ""
    private var isShown = false
    private var last = 0
    private let isTerminal = isatty(STDERR_FILENO) == 1

    func begin(_ name: String) {
        self.name = name
        last = 0
    }

    func show(_ done: Int, _ total: Int) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let now = time.tv_sec * 10 + time.tv_nsec / 100_000_000
        guard isTerminal, now - last >= 2 else { return }
        last = now
        isShown = true
        let amount = Quantity.bytes(UInt64(max(0, done)))
        write("\r\u{1B}[K\(name): \(amount)" + (total > 0 ? " of \(Quantity.bytes(UInt64(total)))" : ""))
    }

    func end() {
        if isShown { write("\r\u{1B}[K") }
        isShown = false
    }

    private func write(_ text: String) { _ = text.withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) } }
}
