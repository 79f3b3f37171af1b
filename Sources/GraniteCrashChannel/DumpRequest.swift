// Asks a live worker for a capture. It is separate because it is the one thing that is done to a worker rather than read of it.

import CGraniteCapture
import CLinux
import Glibc

/// The signal that makes a worker capture itself and go on (or, at ``CrashPage/Cause/requestKillTimeout``, end).
package struct DumpRequest: Sendable, Equatable {
    package var cause: CrashPage.Cause
    /// Comes back in the capture; answered once, to however many threads it is sent. Not 0.
    package var ticket: UInt16

    package init(cause: CrashPage.Cause, ticket: UInt16) {
        self.cause = cause
        self.ticket = ticket
    }

    /// The signal's number. Its default action ends a process: ask whether it is caught before it is sent.
    package static var signal: Int32 {
        // SIGRTMAX of <signal.h> is a macro for this call.
        __libc_current_sigrtmax() - Int32(GRANITE_DUMP_SIGNAL_BELOW_MAX)
    }

    /// Sends it to one thread of a process, which must be the caller's child or otherwise known not to have been replaced: pids are used again.
    ///
    /// - Returns: 0 or an errno value: ESRCH without such a thread, EAGAIN if the user's queue of signals is full, EPERM for another user's process.
    package func send(to pid: Int32, thread: Int32) -> Int32 {
        let word = UInt64(GRANITE_DUMP_MAGIC) << 48 | UInt64(ticket) << 32 | UInt64(cause.rawValue)
        return granite_queue_to_thread(pid, thread, Self.signal, word) == 0 ? 0 : errno
    }

    /// Whether this capture is the answer.
    package func isAnswered(by capture: CrashPage.Capture) -> Bool {
        capture.stage > .idle && (capture.kind == .dump || capture.kind == .hang) && capture.ticket == UInt32(ticket)
    }
}
