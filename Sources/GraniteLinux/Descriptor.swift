// Defines an open file descriptor that closes itself: supervisor and guardian live for months, and hold several for each process.

import Glibc

/// An open descriptor, close-on-exec; closed with the last reference.
package final class Descriptor: Sendable {
    /// Valid while the object lives; -1 for none.
    package let number: Int32

    /// Takes over `number`.
    package init(_ number: Int32) { self.number = number }

    deinit { if number >= 0 { close(number) } }

    /// Two connected SOCK_SEQPACKET sockets: messages keep their borders and arrive whole or not at all. nil (errno) where the system has
    /// no more.
    package static func messageSockets() -> (Descriptor, Descriptor)? {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return nil }
        return (Descriptor(ends[0]), Descriptor(ends[1]))
    }
}
