// Defines why a crash page could not be made or read.

import Glibc

/// A crash page could not be made or read.
package struct CrashPageError: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// The kernel refused; `errno` says why.
        case system
        /// The file is shorter than a page, or became so.
        case truncated
        /// Not a crash page: another magic number.
        case notAPage
        /// A page of another version of Granite.
        case version(UInt32)
    }

    package var code: Code
    /// The error number of the system call, 0 if none failed.
    package var errno: Int32
    /// What was being done, e.g. "reading the threads of the crash page".
    package var doing: String

    /// Made by this module; tests compare with it.
    package init(_ code: Code, errno: Int32 = 0, while doing: String) {
        self.code = code
        self.errno = errno
        self.doing = doing
    }

    package var description: String {
        switch code {
        case .system: "Failed while \(doing): \(String(cString: strerror(errno)))."
        case .truncated: "Failed while \(doing): the file ends too early."
        case .notAPage: "Failed while \(doing): this is not a crash page."
        case .version(let found): "Failed while \(doing): the page has version \(found), this program reads version 1."
        }
    }
}
