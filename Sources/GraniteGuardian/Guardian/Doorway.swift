// Lets processes say hello: takes connections, and of each one message with two descriptors from a process of this user. Whatever else
// comes is dropped, and never waited for.

import CGraniteCapture
import CLinux
import Glibc
import GraniteCrashChannel
import GraniteLinux

/// The guardian's listening socket. Belongs to the guardian's thread.
final class Doorway {
    /// Who connected and has not spoken yet; the first of more than these is sent away.
    static let maxSilent = 64
    /// Connections that are taken before other things are looked at.
    static let batch = 256

    private let listener: Descriptor
    private var silent: [Descriptor] = []

    /// - Parameter listener: listening, SOCK_SEQPACKET; it does not block from now on.
    init(listener: Descriptor) {
        self.listener = listener
        _ = fcntl(listener.number, F_SETFL, O_NONBLOCK)
    }

    /// Who said hello, and what came with it.
    struct Guest {
        var hello: RunHello
        /// As it is seen from here.
        var pid: Int32
        /// nil if it is gone.
        var pidfd: Descriptor?
        var page: CrashPage
        /// The page and the memory socket.
        var descriptors: [Descriptor]
    }

    var interest: [pollfd] {
        ([listener] + silent).map { pollfd(fd: $0.number, events: Int16(POLLIN), revents: 0) }
    }

    /// All that have spoken by now.
    func guests() -> [Guest] {
        for _ in 0..<Self.batch {
            let number = granite_accept(listener.number)
            if number < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                break
            }
            let connection = Descriptor(number)
            guard Self.isTrusted(connection) else { continue }
            silent.append(connection)
            if silent.count > Self.maxSilent { hear(silent.removeFirst()).map { waiting.append($0) } }
        }
        var quiet: [Descriptor] = []
        for connection in silent {
            switch listen(to: connection) {
            case .nothing: quiet.append(connection)
            case .guest(let guest): waiting.append(guest)
            case .ended: break
            }
        }
        silent = quiet
        defer { waiting = [] }
        return waiting
    }

    private var waiting: [Guest] = []

    private enum Heard {
        case nothing
        case guest(Guest)
        /// It hung up, or said something else.
        case ended
    }

    private func hear(_ connection: Descriptor) -> Guest? {
        if case .guest(let guest) = listen(to: connection) { guest } else { nil }
    }

    private func listen(to connection: Descriptor) -> Heard {
        // One byte more than a hello: a longer message is no hello.
        var bytes = [UInt8](repeating: 0, count: MemoryLayout<granite_run_hello>.size + 1)
        var numbers: [Int32] = [-1, -1, -1, -1]
        var count: Int32 = 0
        let received = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map {
                granite_receive_with_descriptors(connection.number, $0, buffer.count, &numbers, &count)
            } ?? -1
        }
        if received < 0, errno == EAGAIN { return .nothing }
        let descriptors = numbers.prefix(Int(count)).map { Descriptor($0) }
        guard received > 0, let hello = RunHello(bytes: Array(bytes[..<received])), descriptors.count == 2,
            granite_is_memory_file(descriptors[0].number, off_t(Self.pageBytes)) == 1,
            granite_is_message_socket(descriptors[1].number) == 1,
            let page = try? CrashPage(descriptor: descriptors[0].number)
        else { return .ended }
        var (pid, user): (pid_t, uid_t) = (0, 0)
        guard granite_peer_process(connection.number, &pid, &user) == 0, pid > 0 else { return .ended }
        return .guest(
            Guest(hello: hello, pid: pid, pidfd: Self.pidfd(connection, pid), page: page, descriptors: descriptors))
    }

    private static let pageBytes = UInt64(GRANITE_SNAPSHOT_OFFSET) + UInt64(GRANITE_SNAPSHOT_CAPACITY)

    /// Only processes of this user and root's: all others could find the socket's name in /proc/net/unix.
    private static func isTrusted(_ connection: Descriptor) -> Bool {
        let user = granite_peer_user(connection.number)
        return user == 0 || user == Int64(geteuid())
    }

    private static func pidfd(_ connection: Descriptor, _ pid: pid_t) -> Descriptor? {
        var number = granite_peer_pidfd(connection.number)
        // Before Linux 6.5. The pid may be another's by now: then its end is not told, nothing worse.
        if number < 0, errno == ENOPROTOOPT { number = granite_pidfd_open(pid) }
        return number < 0 ? nil : Descriptor(number)
    }
}
