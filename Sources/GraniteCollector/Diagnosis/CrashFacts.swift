// Defines what a diagnosis may look at: facts that were read, none that were concluded. Pure values, so that every rule is tested
// without a crash.

package import GraniteCrashChannel
package import GraniteReport

package struct CrashFacts: Sendable {
    package var kind: CrashReport.Kind
    package var pid: Int
    /// Short name of a program that is no worker; nil: a worker.
    package var program: String?
    package var signal: SignalInfo?
    /// x86_64: REG_ERR of a page fault; bit 1 = write, bit 4 = instruction fetch.
    package var errorCode: UInt64 = 0
    /// x86_64: REG_TRAPNO; 14 is a page fault, 13 a general protection fault.
    package var trapNumber: UInt32 = 0
    /// The crashed thread's, DWARF order; empty if it was not captured.
    package var registers: [UInt64] = []
    /// Bytes at the interrupted instruction, as many as were captured.
    package var code: [UInt8] = []
    /// The words at the stack pointer and right below it, which a `ret` took its target from.
    package var stackTop: UInt64?
    package var belowStackTop: UInt64?
    /// The word at the instruction's operand in memory, if it was captured.
    package var operandWord: UInt64?
    package var threadName = ""
    /// The crashed thread's, merged and folded, innermost first.
    package var frames: [Frame] = []
    package var folded: ThreadReport.FoldedCycle?
    package var map = MemoryMap()
    package var exit: ExitStatus?
    package var oomKills: Int?
    /// What is known of the worker's memory: the trend, the cgroup, the kernel's log.
    package var memory: MemoryInfo?
    /// The most resident memory that the worker ever had; 0 if that is not known.
    package var maxRSSBytes: UInt64 = 0
    /// Why its own supervisor killed it, a clause.
    package var killedBecause: String?
    /// How many requests were being served when it died without a capture.
    package var requestsInFlight = 0
    /// Of the request on the captured thread, or of the only one in flight: method and target, redacted.
    package var serving: String?
    package var duringStartup = false
    package var level = "full"
    package var rssBytes: UInt64 = 0
    package var logTail: [String] = []
    /// glibc's `__abort_msg`.
    package var abortMessage: String?
    /// A place of Rust code that the crashed thread's stack points to, of an abort or a panic.
    package var panicPlace: PanicPlace?
    package var dropSite: DropSite?
    /// The exception that ended the crashed thread, or may have.
    package var thrown: ThrownException?
    /// Of a capture that tells of memory.
    package var growth: GrowthInfo?
    /// Of a capture that was asked for by a signal.
    package var hang: Hang?
    /// All threads, the captured one first.
    package var threads: [ThreadReport] = []
    /// Of the request on the captured thread, or of the only one in flight.
    package var requestAgeSeconds: Double?
    /// Whether CPython's collector of cycles was running, as its memory says; nil if that could not be read.
    package var isCollectingGarbage: Bool?
    /// Which generation it collected; nil if it was not running or nobody knows.
    package var collectedGeneration: Int?
    /// What was counted on the page.
    package var occasions: [CountedOccasion] = []
    /// tid and name of the capturing thread.
    package var crashedTid = 0

    package init(kind: CrashReport.Kind, pid: Int) {
        self.kind = kind
        self.pid = pid
    }

    /// Why, and by whom.
    package struct Hang: Sendable {
        package var cause: CrashPage.Cause
        /// How long ago the event loop turned last; nil if it is not known.
        package var heartbeatAgeSeconds: Double?
    }

    /// Whether a supervisor of Granite looks after it.
    var isWorker: Bool { program == nil }
    /// What sentences call it.
    var noun: String { isWorker ? "worker" : "process" }
    var access: MemoryAccess { Registers.access(trapNumber: trapNumber, errorCode: errorCode) }
    var programCounter: UInt64? {
        registers.count > Registers.programCounter ? registers[Registers.programCounter] : nil
    }
    var stackPointer: UInt64? {
        registers.count > Registers.stackPointer ? registers[Registers.stackPointer] : nil
    }
    var instruction: Instruction? { code.isEmpty ? nil : Instruction.decode(code) }
    var operandAddress: UInt64? {
        guard let instruction, let pc = programCounter else { return nil }
        return instruction.operand?.address(registers: registers, instruction: pc, length: instruction.length)
    }
    var signalNumber: Int { signal?.number ?? 0 }
}

/// What a rule concludes: the diagnosis and the report's sentence.
package struct Verdict: Sendable, Equatable {
    package var diagnosis: Diagnosis
    /// One sentence with a full stop.
    package var reason: String

    init(_ category: Diagnosis.Category, _ confidence: Diagnosis.Confidence, _ evidence: [String], _ reason: String) {
        diagnosis = Diagnosis(category: category, confidence: confidence, evidence: evidence)
        self.reason = reason
    }
}

/// Goes through the rules in order; the first that has something to say is believed.
package enum Diagnostician {
    package static func diagnose(_ facts: CrashFacts) -> Verdict {
        for rule in rules {
            if let verdict = rule(facts) { return verdict }
        }
        return Verdict(.unknown, .possible, [], "The \(facts.noun) died, and nothing that was captured says why.")
    }

    static let rules: [@Sendable (CrashFacts) -> Verdict?] = [
        GrowthRule.verdict, DropSiteRule.verdict, PanicRule.verdict, HangRule.verdict, SupervisorKillRule.verdict,
        OutOfMemoryRule.verdict,
        StartupRule.verdict,
        ExitRule.verdict, SentSignalRule.verdict,
        TrapRule.verdict, AbortRule.verdict, StackOverflowRule.verdict, JumpRule.verdict, MemoryFaultRule.verdict,
        OtherSignalRule.verdict,
    ]
}
