// Defines a process that never spoke to a collector: dead, with a core dump, or looked at from outside. It holds what a worker's page would
// say, and takes the same road to the same report.

import GraniteCrashChannel
import GraniteReport
package import GraniteStore
package import GraniteSymbols

struct ForeignProcess {
    var pid: Int32
    /// Short name of the program.
    var program: String
    var page: CapturedPage
    var facts: ProcessFacts
    /// True if nobody knows when and on which kernel it ran, because all that is left of it is a file.
    var isElsewhere = false

    /// Reads what is needed of the memory, lets the process go, and makes the report.
    /// - Parameter memory: of a process that stands still, or that is dead.
    func report(memory: any HeldMemory, symbolizer: Symbolizer, clock: StepClock = StepClock()) -> CrashReport {
        let evidence = EvidenceReader(socket: -1, isFull: true).read(page, live: memory, clock: clock)
        let analysis = Analyst(evidence: evidence, symbolizer: symbolizer, isFull: true).analyze()
        let isFatal = page.capture?.isFatal ?? false
        let id = ULID.make()
        let assembler = ReportAssembler(
            id: id,
            job: .init(crashID: id, source: .live, isFatal: isFatal, isResumed: false),
            watch: .init(
                crashID: id, slot: 0, generation: 0, pid: pid, afterCollectorRestart: false, program: program),
            process: facts, evidence: evidence, analysis: analysis, level: "full")
        var report = assembler.assemble(ending: Ending())
        if isElsewhere { report.process?.kernel = nil }
        return report
    }
}

extension Symbolizer {
    /// Of a command that makes one report, with the indexes that collectors made beside the reports.
    package static func beside(_ store: ReportStore) -> Symbolizer {
        Symbolizer(options: .init(indexFolder: .beside(store)))
    }
}
