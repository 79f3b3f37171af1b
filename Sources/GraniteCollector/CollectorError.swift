// Defines why the collector could not do something. One struct for the module: what was being done, and errno where there is one.

import Glibc

/// An error of the collector.
package struct CollectorError: Error, CustomStringConvertible, Sendable {
    package enum Code: Sendable {
        /// A system call failed; `errno` says why.
        case systemCall
        /// A message of the supervisor cannot be understood.
        case malformedMessage
        /// The crash page is not one, or of another version.
        case unreadablePage
        /// The file is no core dump that can be read.
        case unusableCore
        /// The process cannot be looked at; the sentence says what would help.
        case notAttachable
        /// libdwfl refused to work.
        case unwinder
    }

    package var code: Code
    /// errno, or 0.
    package var errno: Int32
    /// What was being done or is wrong: a clause without a full stop.
    package var doing: String

    package init(_ code: Code, errno: Int32 = 0, doing: String) {
        self.code = code
        self.errno = errno
        self.doing = doing
    }

    package var description: String {
        errno == 0 ? "\(doing)." : "\(doing): \(String(cString: strerror(errno)))."
    }
}
