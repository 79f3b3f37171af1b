// Defines the collector's end of the control socket: JSON messages of the supervisor in, of the collector out. SOCK_SEQPACKET keeps
// message borders, so one message is one object (unix(7)).

import CLinux
import FoundationEssentials
import Glibc
import GraniteCrashChannel
import Synchronization

/// Sends may come from any thread; receives from the control loop alone.
final class ControlChannel: Sendable {
    /// A message that is longer is refused: log tails are bounded by the supervisor.
    static let maxMessageBytes = 1 << 20

    /// Open as long as the channel lives: a late job of a collector that was given up holds it too, and must not write into whatever
    /// got the number next.
    let socket: Int32
    private let sending = Mutex<Void>(())

    /// Takes over `socket`.
    init(socket: Int32) { self.socket = socket }

    deinit { close(socket) }

    /// The supervisor reads what was sent, and then that no more will come, whoever still holds the channel.
    func end() { shutdown(socket, Int32(SHUT_RDWR)) }

    enum Received {
        case message(SupervisorMessage, descriptors: [Int32])
        /// Something that cannot be understood; its descriptors are closed.
        case malformed(String)
        case nothing
        case closed
    }

    /// The next message; does not wait.
    func receive() -> Received {
        var ready = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, 0) > 0 else { return .nothing }
        var bytes = [UInt8](repeating: 0, count: Self.maxMessageBytes)
        var descriptors: [Int32] = [-1, -1, -1, -1]
        var count: Int32 = 0
        let received = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { granite_receive_with_descriptors(socket, $0, buffer.count, &descriptors, &count) }
                ?? -1
        }
        guard received != 0 else { return .closed }
        guard received > 0 else {
            return errno == EMSGSIZE
                ? .malformed("a message of the supervisor is longer than \(Self.maxMessageBytes) bytes") : .closed
        }
        let arrived = Array(descriptors.prefix(Int(count)))
        do {
            let message = try JSONDecoder().decode(SupervisorMessage.self, from: Data(bytes[..<received]))
            return .message(message, descriptors: arrived)
        } catch {
            for descriptor in arrived { close(descriptor) }
            return .malformed("a message of the supervisor cannot be read: \(error)")
        }
    }

    /// Sends one message; waits while the supervisor's buffer is full. False if the supervisor is gone.
    @discardableResult
    func send(_ message: CollectorMessage) -> Bool {
        guard let data = try? JSONEncoder().encode(message) else { return false }
        return sending.withLock { _ in
            data.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return false }
                return granite_send_with_descriptors(socket, start, bytes.count, nil, 0) == bytes.count
            }
        }
    }
}
