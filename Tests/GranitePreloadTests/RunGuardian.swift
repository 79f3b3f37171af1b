// The guardian's socket, as the tests need it: hellos wait in its queue until they are asked for.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel

/// Listens for programs that say hello. Nothing is lost: a program sends its hello before its main begins, and the kernel keeps it.
final class RunGuardian: Sendable {
    /// For GRANITE_RUN_SOCKET.
    let name = "@granite-preload-test-\(UUID().uuidString)"
    private let listener: Int32

    /// A program that said hello.
    struct Member: Sendable {
        var origin: UInt32
        var pid: Int32
        var parent: Int32
        var program: String
        var page: CrashPage
        /// The collector's end of the memory socket.
        var socket: FileHandle

        var isForked: Bool { origin == GRANITE_RUN_FORK.rawValue }
    }

    /// - Parameter queue: how many may wait for ``members()``.
    /// - Throws: POSIXError.
    init(queue: Int32 = 1024) throws {
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        listener = socket(AF_UNIX, type, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.dropFirst().copyBytes(from: name.utf8.dropFirst()) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.utf8.count)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) }
        }
        guard bound == 0, listen(listener, queue) == 0 else { throw POSIXError(.EADDRINUSE) }
    }

    deinit { close(listener) }

    /// All that have said hello since the last call, in that order.
    ///
    /// - Throws: POSIXError if one broke the protocol, CrashPageError if its page is none.
    func members() throws -> [Member] {
        var members: [Member] = []
        while true {
            let connection = granite_accept(listener)
            guard connection >= 0 else { return members }
            defer { close(connection) }
            members.append(try receive(from: connection))
        }
    }

    private func receive(from connection: Int32) throws -> Member {
        var hello = granite_run_hello()
        var descriptors: [Int32] = [-1, -1, -1, -1]
        var count: Int32 = 0
        // Who has connected may not have sent its message yet.
        var watched = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
        poll(&watched, 1, 60_000)
        let size = withUnsafeMutableBytes(of: &hello) {
            granite_receive_with_descriptors(connection, $0.baseAddress!, $0.count, &descriptors, &count)
        }
        defer { if count > 0 { close(descriptors[0]) } }
        guard size == MemoryLayout<granite_run_hello>.size, count == 2, hello.magic == GRANITE_RUN_MAGIC,
            hello.version == UInt32(GRANITE_RUN_VERSION)
        else { throw POSIXError(.EPROTO) }
        return Member(
            origin: hello.origin, pid: Int32(hello.pid), parent: Int32(hello.parent_pid),
            program: withUnsafeBytes(of: hello.program) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) },
            page: try CrashPage(descriptor: descriptors[0]),
            socket: FileHandle(fileDescriptor: descriptors[1], closeOnDealloc: true))
    }
}
