// Decides what becomes of a signal that run gets: the program is to behave as if there were no run in between. Pure.

import Glibc

/// The rules, and what they need to remember.
package struct SignalPassage: Sendable, Equatable {
    package enum Action: Sendable, Equatable {
        /// Not for the program, or it has got it already.
        case none
        case forward
        /// A child may have ended or stopped.
        case lookAtChildren
        /// Let the program go on, if it is stopped.
        case resume
    }

    /// si_code of what the kernel sends: a terminal's signals go to the whole process group, the program included.
    static let fromKernel: Int32 = 0x80

    /// run was asked to stop as the program was, so it stops when that has.
    private(set) package var isAskedToStop = false
    /// run has stopped since it was last continued.
    private(set) package var hasStopped = false
    /// The parent is a shell that looks after jobs: it waits for run to stop when the program does.
    private let isJob: Bool

    package init(isJob: Bool) { self.isJob = isJob }

    package mutating func action(signal: Int32, code: Int32) -> Action {
        if signal == SIGCHLD { return .lookAtChildren }
        if [SIGTSTP, SIGTTIN, SIGTTOU].contains(signal) { isAskedToStop = true }
        if signal == SIGCONT {
            defer { (isAskedToStop, hasStopped) = (false, false) }
            // A shell's `fg` continues the whole group.
            return hasStopped ? .resume : .forward
        }
        // An alarm(2) or setitimer(2) from before execve(2) is the program's; it was not inherited.
        if code > 0 { return [SIGALRM, SIGVTALRM, SIGPROF].contains(signal) ? .forward : .none }
        return .forward
    }

    /// The program has stopped: whether run stops too.
    package mutating func stopsToo() -> Bool {
        guard isJob || isAskedToStop else { return false }
        (isAskedToStop, hasStopped) = (false, true)
        return true
    }
}
