// Carries messages as JSON over a SOCK_SEQPACKET socket without ever waiting for the other side: what does not fit waits here.

import CLinux
import FoundationEssentials
import Glibc
package import GraniteLinux

/// One end of a connection. Belongs to one thread.
package final class MessageLink<Incoming: Decodable, Outgoing: Encodable> {
    /// What the other side has not taken by then is lost, the oldest first.
    static var maxWaiting: Int { 4096 }
    static var maxMessageBytes: Int { 256 << 10 }

    private let socket: Descriptor
    private var waiting: [(bytes: Data, descriptors: [Descriptor])] = []
    private var endsWhenSent = false
    /// False once the other side is gone.
    package private(set) var isOpen = true

    /// - Parameter socket: an end that nobody else holds; it does not block from now on.
    package init(_ socket: Descriptor) {
        self.socket = socket
        _ = fcntl(socket.number, F_SETFL, O_NONBLOCK)
    }

    /// What poll(2) waits for.
    var interest: pollfd {
        pollfd(fd: socket.number, events: Int16(waiting.isEmpty ? POLLIN : POLLIN | POLLOUT), revents: 0)
    }

    /// Copies of the descriptors go along; at most 4.
    package func send(_ message: Outgoing, descriptors: [Descriptor] = []) {
        guard isOpen, let bytes = try? JSONEncoder().encode(message) else { return }
        if waiting.count >= Self.maxWaiting { waiting.removeFirst() }
        waiting.append((bytes, descriptors))
        flush()
    }

    /// Sends what waits, as far as the socket takes it.
    package func flush() {
        while isOpen, let (bytes, descriptors) = waiting.first {
            let numbers = descriptors.map(\.number)
            let sent = withExtendedLifetime(descriptors) {
                bytes.withUnsafeBytes { buffer in
                    buffer.baseAddress.map {
                        granite_send_with_descriptors(socket.number, $0, buffer.count, numbers, Int32(numbers.count))
                    } ?? 0
                }
            }
            if sent < 0, errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS { return }
            // A message that is too large for the socket would stop all that follow.
            if sent < 0, errno != EMSGSIZE { isOpen = false }
            waiting.removeFirst()
        }
        if endsWhenSent, waiting.isEmpty { shutdown(socket.number, Int32(SHUT_WR)) }
    }

    /// The other side reads to the end of what was sent, and then that no more will come.
    package func endSending() {
        endsWhenSent = true
        flush()
    }

    /// The messages that have come; does not wait. What cannot be understood is left out.
    package func receive() -> [Incoming] {
        var messages: [Incoming] = []
        var buffer = [UInt8](repeating: 0, count: Self.maxMessageBytes)
        while isOpen {
            let count = recv(socket.number, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { break }
            guard count > 0 else {
                isOpen = false
                break
            }
            if let message = try? JSONDecoder().decode(Incoming.self, from: Data(buffer[..<count])) {
                messages.append(message)
            }
        }
        return messages
    }
}
