// Defines what can go wrong when a server is made. Separate: errors of single connections never reach the caller.

import Glibc

/// A failure to start serving.
package struct HTTPServerError: Error, CustomStringConvertible, Equatable {
    package enum Code: Equatable, Sendable {
        case epoll
        case eventDescriptor
        case listener
        case thread
    }

    package let code: Code
    /// The system's error number.
    package let errorNumber: Int32

    package var description: String {
        let reason = String(cString: strerror(errorNumber))
        switch code {
        case .epoll: return "epoll_create1 failed: \(reason). Raise the limit of open files (ulimit -n)."
        case .eventDescriptor: return "eventfd failed: \(reason). Raise the limit of open files (ulimit -n)."
        case .listener:
            return "A listening socket can't be watched: \(reason). Was its descriptor inherited, and is it listening?"
        case .thread:
            return "A thread could not be started: \(reason). Raise the limit of processes (ulimit -u, pids.max)."
        }
    }
}
