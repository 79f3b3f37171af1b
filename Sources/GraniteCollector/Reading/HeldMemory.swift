// Defines what the reading of evidence needs of a process's memory beyond its bytes: when it must be let go, and what went wrong. It is a
// seam: a worker serves its memory, a stopped process is read from outside, a core dump holds nobody.

/// The memory of a process that is held for it, or that is dead.
package protocol HeldMemory: RemoteMemory, AnyObject {
    /// True if more was asked for than is kept.
    var isExhausted: Bool { get }
    /// Why not all could be read, a clause; nil if nothing failed.
    var failure: String? { get }
    /// When walks may begin; a process that stands still for its report is let go before, if not even one of its threads crashed.
    var letsGo: LettingGo { get }
    /// Lets the process go on. Only the first call does. What was read before stays readable.
    func finish()
}

/// When a process is let go.
package enum LettingGo: Sendable {
    /// After its crashed thread was walked, and those that need its memory.
    case afterCrashedThread
    /// Before any walk: the stacks are copied, and it has work to do.
    case beforeWalks
    /// It is dead: reading takes as long as it takes.
    case never
}
