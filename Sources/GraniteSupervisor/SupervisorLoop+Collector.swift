// The loop's part for the collector: what it says becomes events.

import GraniteCrashChannel
import GraniteLogging
import GraniteReport

extension SupervisorLoop {
    func makeCollector() -> CollectorProcess {
        CollectorProcess(
            configuration: configuration, poller: poller,
            observer: .init(
                event: { [unowned self] in record($0) },
                message: { [unowned self] in heed($0) },
                output: { [unowned self] pid, lines in relay(lines) { .collectorOutput(pid: pid, line: $0) } }))
    }

    func heed(_ message: CollectorMessage) {
        switch message {
        case .ready: break
        case .reported(let crashID, let summary):
            // A drop site's report has an id of its own; the report of a death has the worker's.
            guard summary.id == crashID else {
                if let worker = liveWorker(crashID) {
                    live.reported(worker, summary)
                    if summary.kind == CrashReport.Kind.growth.rawValue { worker.growthReport = summary.id }
                }
                let worker = identity(crashID)
                record(.crashReported(.init(worker: worker, alive: isAlive(crashID), summary: summary)))
                return
            }
            guard !isAlive(crashID) else {
                earlyReports[crashID] = message
                return
            }
            let worker = identity(crashID)
            collector.settle(crashID)
            let events =
                ledger.reported(crashID: crashID, summary) ?? [
                    .crashReported(.init(worker: worker, alive: false, summary: summary))
                ]
            for event in events { record(event) }
        case .failed(let crashID, let reason, let summary):
            let concernsDeath = summary.map { $0.id == crashID } ?? !isAlive(crashID)
            if concernsDeath && isAlive(crashID) {
                earlyReports[crashID] = message
                return
            }
            record(.crashReportFailed(worker: identity(crashID), crashID: summary?.id ?? crashID, reason: reason))
            guard concernsDeath else {
                if let worker = liveWorker(crashID) { live.failed(worker, reason, summary) }
                return
            }
            collector.settle(crashID)
            // What is known is told all the same: the reason outlives a full disk.
            let events =
                summary.map { ledger.reported(crashID: crashID, $0) ?? [] } ?? ledger.reportFailed(crashID: crashID)
            for event in events { record(event) }
        }
    }

    private func liveWorker(_ crashID: String) -> WorkerProcess? { workers.values.first { $0.crashID == crashID } }

    private func isAlive(_ crashID: String) -> Bool { workers.values.contains { $0.crashID == crashID } }

    private func identity(_ crashID: String) -> WorkerIdentity? {
        workers.values.first { $0.crashID == crashID }?.identity ?? collector.watchlist[crashID]?.identity
    }
}
