// Defines why capture could not be installed.

import Glibc

/// Capture could not be installed: the process runs on, but a crash of it will not be explained.
public struct CaptureError: Error, Equatable, CustomStringConvertible {
    /// The error number of what failed: `EALREADY` if it was installed before, `EINVAL` or `EPROTO` if the descriptor
    /// is not a crash page.
    public var errno: Int32

    /// A sentence for the log.
    public var description: String {
        switch errno {
        case EALREADY: "Crash capture is already installed in this process."
        case EINVAL, EPROTO: "Crash capture was given a descriptor that is not a crash page of this version."
        default: "Crash capture could not be installed: \(String(cString: strerror(errno)))."
        }
    }
}
