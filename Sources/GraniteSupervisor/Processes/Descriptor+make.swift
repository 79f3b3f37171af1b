// Makes the descriptors that the supervisor needs, with its errors.

import CLinux
import Glibc
import GraniteLinux

extension Descriptor {
    /// Two connected SOCK_SEQPACKET sockets.
    static func makeMessageSockets() throws(SupervisorError) -> (Descriptor, Descriptor) {
        guard let ends = messageSockets() else {
            throw SupervisorError(code: .systemCall, errno: errno, subject: "socketpair")
        }
        return ends
    }

    /// A pipe. Reading never blocks, writing does: the child's stderr behaves as a file would.
    static func makePipe() throws(SupervisorError) -> (reading: Descriptor, writing: Descriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        try systemCall("pipe") {
            withUnsafeMutablePointer(to: &ends) { $0.withMemoryRebound(to: Int32.self, capacity: 2) { pipe($0) } }
        }
        let (reading, writing) = (Descriptor(ends.0), Descriptor(ends.1))
        for end in [reading, writing] { try systemCall("fcntl") { fcntl(end.number, F_SETFD, FD_CLOEXEC) } }
        try reading.makeNonBlocking()
        return (reading, writing)
    }

    /// A file in memory with the given content.
    static func makeMemoryFile(name: String, content: [UInt8]) throws(SupervisorError) -> Descriptor {
        let file = Descriptor(try systemCall("memfd_create") { granite_memfd_create(name) })
        var written = 0
        while written < content.count {
            written += try systemCall("write") {
                content.withUnsafeBytes {
                    pwrite(file.number, $0.baseAddress.map { $0 + written }, $0.count - written, off_t(written))
                }
            }
        }
        return file
    }

    func makeNonBlocking() throws(SupervisorError) {
        let flags = try systemCall("fcntl") { fcntl(number, F_GETFL) }
        try systemCall("fcntl") { fcntl(number, F_SETFL, flags | O_NONBLOCK) }
    }
}
