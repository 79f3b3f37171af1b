// Defines what can go wrong with stored reports, in sentences that say what to do.

import Glibc

/// An error of the report store.
package struct StoreError: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// Nothing says where reports are kept.
        case noDirectory
        /// The directory cannot be used as it is: a link, somebody else's, writable for all, no directory.
        case unsafeDirectory
        /// The system refused; `errno` says why.
        case system
        /// What was typed is no id.
        case badReference
        /// No such report.
        case notFound
        /// Several reports begin so.
        case ambiguous
        /// The file is no report.
        case damaged
    }

    package var code: Code
    /// The system's error number, 0 if it has none.
    package var errno: Int32
    /// One sentence or two: what was being done, what is wrong, what helps.
    package var description: String

    init(_ code: Code, errno: Int32 = 0, _ description: String) {
        self.code = code
        self.errno = errno
        self.description = description
    }

    /// A refusal of the system while `doing` (an infinitive) at `path`.
    static func system(_ errno: Int32, _ doing: String, _ path: String) -> StoreError {
        let why =
            switch errno {
            case ENOSPC, EDQUOT: "the disk is full. Free some space, or keep reports elsewhere with --crash-dir."
            case EACCES, EPERM:
                "permission is denied to user \(geteuid()). Change its owner, or keep reports elsewhere with --crash-dir."
            case EROFS: "the file system is read-only. Keep reports elsewhere with --crash-dir."
            case ENOTDIR: "a part of the path is not a directory. Correct --crash-dir."
            case ENOENT: "it does not exist."
            case ENAMETOOLONG: "the path is too long. Choose a shorter --crash-dir."
            case EMFILE, ENFILE: "too many files are open."
            case EIO: "the disk does not answer correctly."
            default: String(cString: strerror(errno)) + "."
            }
        return StoreError(.system, errno: errno, "Cannot \(doing) \(path): \(why)")
    }
}
