// Defines what `granite-crash run` prints: a line for each report as it comes, at the end what was only counted, and whole reports if wanted.

import Glibc
import GraniteExport
import GraniteGuardian
import GraniteLogging
import GraniteReport
import GraniteStore
import Logging

extension LogOutput {
    static var standardError: LogOutput { LogOutput(descriptor: STDERR_FILENO) }
}

/// Belongs to the main thread.
final class RunNews {
    /// Reports that are printed in full.
    static let maxPrinted = 10

    /// nil: nothing is printed.
    private let output: LogOutput?
    private let format: LogFormat
    private let store: ReportStore
    private let namesDirectory: Bool
    private let printsReports: Bool
    private let log: EventLog?
    private var counted = CountedSums()
    private var reports: [String] = []

    /// - Parameters:
    ///   - namesDirectory: the directory is none that `granite-crash show` finds by itself.
    init(output: LogOutput?, format: LogFormat, store: CrashDirectory, namesDirectory: Bool, printsReports: Bool) {
        self.output = output
        self.format = format
        self.store = ReportStore(directory: store)
        self.namesDirectory = namesDirectory
        self.printsReports = printsReports
        log = output.map { output in
            EventLog(
                logger: Logger(label: "granite-crash") { _ in LineLogHandler(output: output, format: format) })
        }
    }

    func heed(_ message: GuardianMessage) {
        guard let event = RunEvent(message) else { return }
        switch event {
        case .counted(let process, let occasion):
            if format == .text { counted.add(process, occasion) } else { log?.record(event) }
        case .reported(_, _, let summary):
            reports.append(summary.id)
            tell(event, " · granite-crash show \(shortest(summary.id))\(place)")
        case .reportFailed, .complaint: tell(event)
        }
    }

    /// At the end.
    func conclude() {
        for event in counted.events { tell(event) }
        guard printsReports else { return }
        for id in reports.prefix(Self.maxPrinted) {
            guard let stored = try? store.load(id) else { continue }
            LogOutput.standardError.write(Array(("\n" + ReportText(stored.report).rendered).utf8))
        }
    }

    private func tell(_ event: RunEvent, _ more: String = "") {
        guard format == .text else { return log?.record(event) ?? () }
        let line = "granite-crash: \(TerminalText.neutralised(event.sentence))\(more)\n"
        output?.write(Array(line.utf8)) { lost in
            Array("granite-crash: \(Quantity.count(lost, "line")) lost: nobody read them in time\n".utf8)
        }
    }

    /// The time in an id tells most reports apart.
    private func shortest(_ id: String) -> String {
        let prefix = String(id.prefix(10))
        return (try? store.load(prefix)) == nil ? id : prefix
    }

    private var place: String { namesDirectory ? " --crash-dir \(store.directory.path)" : "" }
}
