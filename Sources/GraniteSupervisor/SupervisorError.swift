// Defines what keeps a server from running, as sentences that an operator can act on.

import Glibc

/// A failure of the supervisor itself. What happens to workers is told by events instead.
package struct SupervisorError: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        /// The host name means no address of this machine.
        case badHost
        /// A listening socket cannot be had.
        case cannotListen
        /// A process cannot be started.
        case cannotSpawn
        /// The supervisor's own descriptors cannot be had.
        case systemCall
    }

    package var code: Code
    /// The system's error number, 0 if it gave none.
    package var errno: Int32
    /// What we were doing, or with what: `127.0.0.1:8000`, a path, a system call.
    package var subject: String
    /// More that helps, a sentence; empty if there is none.
    package var advice: String

    package init(code: Code, errno: Int32 = 0, subject: String, advice: String = "") {
        self.code = code
        self.errno = errno
        self.subject = subject
        self.advice = advice
    }

    package var description: String {
        let sentence =
            switch code {
            case .badHost: "\(subject) is not an address or name that can be listened on."
            case .cannotListen: "Cannot listen on \(subject): \(reason)."
            case .cannotSpawn: "Cannot start \(subject): \(reason)."
            case .systemCall: "\(subject) failed: \(reason)."
            }
        return advice.isEmpty ? sentence : "\(sentence) \(advice)"
    }

    private var reason: String { errno == 0 ? "unknown reason" : String(cString: strerror(errno)) }
}

/// Calls a system function until it is not interrupted; throws with its name if it returns a negative number.
@discardableResult
func systemCall<Result: SignedInteger>(_ name: String, _ body: () -> Result) throws(SupervisorError) -> Result {
    while true {
        let result = body()
        if result >= 0 { return result }
        if errno != EINTR { throw SupervisorError(code: .systemCall, errno: errno, subject: name) }
    }
}
