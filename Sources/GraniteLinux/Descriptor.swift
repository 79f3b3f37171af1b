// Defines a file descriptor that closes itself: the guardian is handed descriptors by processes that nobody vouches for.

import Glibc

/// An open descriptor; closed with the last reference.
package final class OpenDescriptor: Sendable {
    /// Valid while the object lives; -1 for none.
    package let number: Int32

    /// Takes over `number`.
    package init(_ number: Int32) { self.number = number }

    deinit { if number >= 0 { close(number) } }

    /// Two connected SOCK_SEQPACKET sockets, close-on-exec; nil (errno) where the system has no more.
    package static func messageSockets() -> (OpenDescriptor, OpenDescriptor)? {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return nil }
        return (OpenDescriptor(ends[0]), OpenDescriptor(ends[1]))
    }
}
