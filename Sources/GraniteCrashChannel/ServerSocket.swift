// The control socket of a running server: how it is made, found and asked. It is separate from what is said over it
// (ServerDialogue.swift).

import CLinux
import FoundationEssentials
import Glibc

extension ServerSocket {
    /// Makes the socket `servers/NAME.sock` in a crash directory, 0600 in a 0700 folder, and removes those of servers that are gone.
    /// Any thread.
    ///
    /// - Parameter name: unique for ever, such as a ULID: servers of several containers may share one directory.
    /// - Returns: a listening, non-blocking descriptor, the caller's; or the errno value that kept it.
    package static func listen(crashDirectory: String, name: String) -> Result<Int32, Failure> {
        let folder = crashDirectory + "/" + Self.folder
        guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { return .failure(.init(errno: errno)) }
        return withFolder(crashDirectory) { directory in
            guard isPrivate(directory) else { return .failure(.init(errno: EACCES)) }
            removeStale(in: directory)
            let socket = make()
            guard socket >= 0 else { return .failure(.init(errno: errno)) }
            // It gets its name when it listens: another server's start would take it for one that is left over.
            let unfinished = name + ".new"
            // The folder is private already; its own mode is for whoever opens that later.
            guard var address = address(directory, unfinished),
                withAddress(&address, { Glibc.bind(socket, $0, $1) }) == 0,
                fchmodat(directory, unfinished, 0o600, 0) == 0, Glibc.listen(socket, 16) == 0,
                renameat(directory, unfinished, directory, name + suffix) == 0
            else {
                let failure = Failure(errno: errno)
                close(socket)
                unlinkat(directory, unfinished, 0)
                return .failure(failure)
            }
            return .success(socket)
        } ?? .failure(.init(errno: errno))
    }

    /// Removes the socket, at the server's end.
    package static func remove(crashDirectory: String, name: String) {
        unlink("\(crashDirectory)/\(folder)/\(name)\(suffix)")
    }

    /// Connections to every server that listens there; the descriptors are the caller's. Servers that are gone, and those of other users, are
    /// left out; root sees all.
    package static func connections(crashDirectory: String) -> [Int32] {
        withFolder(crashDirectory) { directory in
            names(in: directory).compactMap { name in
                let socket = connect(directory, name)
                guard socket >= 0 else { return nil }
                // Whoever listens there would be believed.
                if isTrusted(socket) || geteuid() == 0 { return socket }
                close(socket)
                return nil
            }
        } ?? []
    }

    /// Asks and waits for the answer; nil if the server has none in time, or is gone.
    package static func ask(_ request: ServerRequest, over socket: Int32, timeoutSeconds: Int) -> ServerReply? {
        guard send(request, over: socket) else { return nil }
        var wait = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        let deadline = granite_monotonic_ns() &+ UInt64(max(0, timeoutSeconds)) &* 1_000_000_000
        while true {
            let now = granite_monotonic_ns()
            guard now < deadline else { return nil }
            let ready = poll(&wait, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
            if ready > 0 { return receive(ServerReply.self, from: socket) }
            if ready < 0, errno != EINTR { return nil }
        }
    }

    /// Sends one message. False if the peer is gone or does not read.
    @discardableResult
    package static func send(_ message: some Encodable, over socket: Int32) -> Bool {
        guard let bytes = try? JSONEncoder().encode(message), bytes.count <= maxMessageBytes else { return false }
        return bytes.withUnsafeBytes { buffer in
            var sent: Int
            repeat {
                sent = Glibc.send(socket, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            } while sent < 0 && errno == EINTR
            return sent == buffer.count
        }
    }

    /// The message that waits; nil if there is none, or it is none of ours.
    package static func receive<Message: Decodable>(_ type: Message.Type, from socket: Int32) -> Message? {
        var buffer = [UInt8](repeating: 0, count: maxMessageBytes)
        var count: Int
        repeat {
            count = recv(socket, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        } while count < 0 && errno == EINTR
        guard count > 0 else { return nil }
        return try? JSONDecoder().decode(type, from: Data(buffer[..<count]))
    }

    /// Whether the peer is root or this process's user (SO_PEERCRED of unix(7)).
    package static func isTrusted(_ socket: Int32) -> Bool {
        let user = granite_peer_user(socket)
        return user == 0 || user == Int64(geteuid())
    }

    /// Why there is no socket.
    package struct Failure: Error, Equatable {
        package let errno: Int32
    }

    // MARK: -

    private static func make() -> Int32 {
        socket(
            AF_UNIX,
            Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    }

    private static func connect(_ directory: Int32, _ name: String) -> Int32 {
        let socket = make()
        guard socket >= 0 else { return -1 }
        guard var address = address(directory, name) else {
            close(socket)
            errno = ENAMETOOLONG
            return -1
        }
        if withAddress(&address, { Glibc.connect(socket, $0, $1) }) == 0 { return socket }
        let failure = errno
        close(socket)
        errno = failure
        return -1
    }

    private static func removeStale(in directory: Int32) {
        for name in names(in: directory) {
            let socket = connect(directory, name)
            if socket >= 0 {
                close(socket)
            } else if errno == ECONNREFUSED, isOld(directory, name) {
                unlinkat(directory, name, 0)
            }
        }
    }

    /// A young one may be about to listen.
    private static func isOld(_ directory: Int32, _ name: String) -> Bool {
        var status = stat()
        return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && time(nil) - status.st_mtim.tv_sec > 60
    }

    /// Ours, and nobody else may put a socket there.
    private static func isPrivate(_ directory: Int32) -> Bool {
        var status = stat()
        return fstat(directory, &status) == 0 && status.st_uid == geteuid() && status.st_mode & 0o077 == 0
    }

    private static func withFolder<Value>(_ crashDirectory: String, _ body: (Int32) -> Value) -> Value? {
        let directory = open("\(crashDirectory)/\(folder)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0 else { return nil }
        defer { close(directory) }
        return body(directory)
    }

    /// At most a thousand sockets.
    private static func names(in directory: Int32) -> [String] {
        let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < 1000, let entry = readdir(stream) {
            // SAFETY: d_name is NUL-terminated within its 256 bytes (readdir(3)), and the entry lives until the next call.
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(suffix) { names.append(name) }
        }
        return names.sorted()
    }

    /// sun_path has 108 bytes, a crash directory may be longer: the folder is named by its descriptor.
    private static func address(_ directory: Int32, _ name: String) -> sockaddr_un? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array("/proc/self/fd/\(directory)/\(name)".utf8)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { field in
            guard path.count < field.count else { return false }
            field.copyBytes(from: path)
            return true
        }
        if !fits { errno = ENAMETOOLONG }
        return fits ? address : nil
    }

    private static func withAddress(_ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32)
        -> Int32
    {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
