// Defines a process that never spoke to a collector: dead, with a core dump, or looked at from outside. What was read of it takes the road
// of a worker's evidence to the same report.

import GraniteCrashChannel
import GraniteReport
package import GraniteStore
package import GraniteSymbols

struct ForeignProcess {
    var pid: Int32
    /// Short name of the program.
    var program: String
    var facts: ProcessFacts
    /// True if nobody knows on which kernel it ran, because all that is left of it is a file.
    var isElsewhere = false
    /// Where its files are; nil: where it says.
    var root: ForeignRoot?
    /// How it ended, as waitpid(2) told; nil if that is not known, or it has not.
    var exit: ExitStatus?

    /// Works from the evidence and from files.
    func report(of evidence: Evidence, symbolizer: Symbolizer) -> CrashReport {
        let analysis = Analyst(evidence: evidence, symbolizer: symbolizer, isFull: true).analyze()
        let id = ULID.make()
        let assembler = ReportAssembler(
            id: id,
            job: .init(
                crashID: id, source: .live, isFatal: evidence.page.capture?.isFatal ?? false, isResumed: false),
            watch: .init(
                crashID: id, slot: 0, generation: 0, pid: pid, afterCollectorRestart: false, program: program),
            process: facts, evidence: evidence, analysis: analysis, level: "full")
        var report = assembler.assemble(ending: Ending())
        if isElsewhere { report.process?.kernel = nil }
        report.process?.exit = exit
        return root?.named(report) ?? report
    }
}

extension Symbolizer {
    /// Of a command that makes one report, with the indexes that collectors made beside the reports.
    package static func beside(_ store: ReportStore) -> Symbolizer {
        Symbolizer(options: .init(indexFolder: .beside(store)))
    }
}
