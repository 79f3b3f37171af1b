// Defines the work on one crash, from the held worker to the stored report. Each job has its own thread.

import CLinux
import GraniteCrashChannel
import GraniteReport
import GraniteStore
import GraniteSymbols
import Synchronization

struct CrashJob: Sendable {
    /// How long a finished report waits for the worker's exit status and its replacement.
    static let endingNanoseconds: UInt64 = 1_000_000_000
    /// The collector may have been killed from outside once; twice it is the crash itself that ends it.
    static let replaysWithFiles = 2

    var job: CollectorState.Job
    var watch: SupervisorMessage.Watch
    /// nil if it could not be opened.
    var page: CrashPage?
    /// The collector's end of the memory socket, or -1.
    var socket: Int32
    var process: ProcessFacts
    var mailbox: EndingMailbox
    /// The most that the operator wants: 0 off, 1 short, 2 full. The worker's own level may be lower.
    var level: UInt32
    /// Whether reports hold local variables of Python functions.
    var withLocals = false
    var shared: Shared

    /// What all jobs use.
    final class Shared: Sendable {
        let store: ReportStore
        let channel: ControlChannel
        /// One for all, because what it read of a build serves the next crash; one job at a time.
        let symbolizer: Mutex<Symbolizer>
        /// Of the builds that were met, on disk: the next collector reads no debug information for them.
        let indexing: SymbolIndexing

        init(store: ReportStore, channel: ControlChannel) {
            self.store = store
            self.channel = channel
            indexing = SymbolIndexing(folder: .beside(store))
            symbolizer = Mutex(Symbolizer(options: .init(indexFolder: indexing.folder)))
        }
    }

    /// - Parameter released: called once the memory socket is not used any more.
    func run(released: () -> Void) {
        let configured = min(self.level, (try? page?.status())?.level ?? self.level)
        // Whoever asks for a dump, or what a hang waits for, asks for every thread.
        let cause = job.source == .exit ? CrashPage.Cause.none : (try? page?.capture())?.cause ?? CrashPage.Cause.none
        let level = cause == CrashPage.Cause.none || configured == 0 ? configured : 2
        let isFull = level >= 2
        let opensFiles = watch.replays < Self.replaysWithFiles
        let reader = EvidenceReader(
            socket: job.source == .live ? socket : -1, isFull: isFull, withLocals: withLocals,
            opensFiles: opensFiles)
        var evidence = reader.read(page, withCapture: job.source != .exit)
        released()

        let analysis =
            opensFiles
            ? shared.symbolizer.withLock { symbolizer in
                Analyst(evidence: evidence, symbolizer: symbolizer, isFull: isFull).analyze()
            } : Analyst(evidence: evidence, symbolizer: nil, isFull: isFull).analyze()
        let ending = job.isFatal ? mailbox.wait(until: granite_monotonic_ns() &+ Self.endingNanoseconds) : Ending()
        // The handler has gone on meanwhile: its last stages and flags are known only now.
        if let page, let last = try? page.capture(), last.sequence == evidence.page.capture?.sequence,
            job.source != .exit
        {
            evidence.page.capture = last
        }
        let assembler = ReportAssembler(
            id: job.isFatal ? job.crashID : ULID.make(), job: job, watch: watch, process: process, evidence: evidence,
            analysis: analysis,
            level: ["off", "short", "full"][Int(min(level, 2))])
        publish(assembler.assemble(ending: ending))
        if opensFiles { shared.indexing.make(of: shared.symbolizer.withLock { $0.takeUnindexed() }) }
    }

    /// Instead of ``run(released:)``: lets the worker go, and tells the supervisor that no report will come.
    func giveUp(_ reason: String) {
        if job.source == .live { LiveMemory.release(socket) }
        // A summary with the worker's id says that the death's report is meant, not a drop site's.
        let summary =
            job.isFatal
            ? CrashSummary(
                id: job.crashID, kind: CrashReport.Kind.signal.rawValue, reason: reason, category: nil, confidence: nil,
                request: nil, top: [], fingerprint: nil, complete: false, report: nil) : nil
        shared.channel.send(.failed(crashID: job.crashID, reason: reason, summary: summary))
    }

    private func publish(_ report: CrashReport) {
        do throws(StoreError) {
            let path = try shared.store.save(report)
            shared.channel.send(.reported(crashID: job.crashID, summary: report.summary(path: path)))
        } catch {
            shared.channel.send(
                .failed(crashID: job.crashID, reason: error.description, summary: report.summary(path: nil)))
        }
    }
}
