// Makes the socket that processes under capture say hello to: an abstract one (unix(7)), so that nothing is left on any disk and any
// directory may be out of reach.

import Glibc
package import GraniteLinux

/// A listening socket and how the environment names it.
package struct GuardianSocket {
    package let listener: Descriptor
    /// `@granite-run-…`, for GRANITE_RUN_SOCKET.
    package let name: String

    /// nil (errno) if the system has none.
    package init?() {
        var random = SystemRandomNumberGenerator()
        let digits = [random.next(), random.next()].map { String($0, radix: 16) }
        name = "@granite-run-" + digits.joined()
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        listener = Descriptor(socket(AF_UNIX, kind, 0))
        guard listener.number >= 0 else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // The leading NUL makes it abstract; the length says where it ends.
        let bytes = [0] + Array(name.utf8.dropFirst())
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener.number, $0, length) }
        }
        guard bound == 0, listen(listener.number, 4096) == 0 else { return nil }
    }
}
