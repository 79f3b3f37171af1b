// Defines what `granite-crash run` and its guardian say to each other, one JSON object a message.

package import GraniteReport

/// From run to the guardian.
package enum RunMessage: Codable, Sendable, Equatable {
    /// The program was started.
    case started(pid: Int32)
    /// The program ended: the status as waitpid(2) gives it. It is not reaped before the guardian has `settled`.
    case ended(pid: Int32, waitStatus: Int32, resources: ResourceUsage)
}

/// A process under capture, for people: programs are known by their names, pids tell two of a name apart.
package struct CapturedProcess: Codable, Sendable, Equatable {
    package var pid: Int32
    /// The short name that the process gave itself; any text.
    package var program: String

    package init(pid: Int32, program: String) {
        self.pid = pid
        self.program = program
    }
}

/// From the guardian to run.
package enum GuardianMessage: Codable, Sendable, Equatable {
    /// A report is stored. `signal` is what the process died of, nil if the report is of something else.
    case reported(CapturedProcess, signal: Int32?, CrashSummary)
    /// No report could be stored; the sentence says why.
    case failed(CapturedProcess, reason: String)
    /// What happened again and again in a process and was captured less often than that.
    case counted(CapturedProcess, CountedOccasion)
    /// Something that a person should know of the capture itself: a sentence.
    case complaint(String)
    /// The program has ended, and every report of a process that has ended is there.
    case settled
}
