// Defines what a worker process inherits and what it says to the supervisor. It is separate because two programs must agree
// on it: the supervisor that spawns, and `granite worker`.

import FoundationEssentials
import Glibc

/// The descriptors that `granite worker` finds open. All others are closed.
///
/// What else a worker may rely on: every signal has its default disposition and none is blocked; it is in the supervisor's process
/// group, so that Ctrl-C reaches it too: it must outlive SIGINT from its first line on, obey SIGTERM (stop accepting, finish, exit 0)
/// and reopen its log on SIGUSR1. End of file on ``status`` means that the supervisor is gone: stop as for SIGTERM.
package enum WorkerDescriptor {
    /// The configuration: the payload bytes of ``SupervisorConfiguration``, to be read from offset 0 to the end.
    package static let configuration: Int32 = 3
    /// The crash page, a memfd of GRANITE_PAGE_FILE_SIZE bytes; holds slot, generation, level and crash id.
    package static let crashPage: Int32 = 4
    /// The worker's end of the memory socket.
    package static let memorySocket: Int32 = 5
    /// The worker's end of the status socket (SOCK_SEQPACKET, one JSON ``WorkerStatus`` a message).
    package static let status: Int32 = 6
    /// Where log lines go: the supervisor's own stderr or log file. Standard error is a pipe to the supervisor instead.
    package static let log: Int32 = 7
    /// The first of the listening sockets, non-blocking; the others follow. Their number is in GRANITE_LISTENERS.
    package static let firstListener: Int32 = 8
    /// The environment variable that says how many listening sockets were handed down.
    package static let listenerCountVariable = "GRANITE_LISTENERS"
}

/// What a worker tells the supervisor.
package enum WorkerStatus: Codable, Sendable, Equatable {
    /// The application is imported and requests are accepted.
    case ready
    /// It cannot start, and ends with `code` right away. The message is for the operator: one sentence, then details a line each.
    case failed(code: Int32, message: String)
    /// It has had more resident memory than its limit for a while, and serves on; said again while that lasts.
    case outgrown(rssBytes: UInt64, limitBytes: UInt64)
    /// It no longer accepts requests, of its own will or because it was told to; an exit with code 0 is to be expected.
    case stopping
    /// It stops because process `sender` sent it SIGTERM; said before ``stopping``.
    case terminated(sender: Int32)

    /// Sends it over the status socket: one message, at most 64 KiB. May be called from any thread, not from a signal handler.
    ///
    /// - Returns: false if the supervisor is gone.
    @discardableResult
    package func send(over socket: Int32 = WorkerDescriptor.status) -> Bool {
        guard let message = try? JSONEncoder().encode(bounded) else { return false }
        return message.withUnsafeBytes { bytes in
            var sent: Int
            repeat {
                sent = Glibc.send(socket, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            } while sent < 0 && errno == EINTR
            return sent == bytes.count
        }
    }

    static let maxMessageBytes = 64 * 1024

    /// Decodes a message of the status socket; nil if it is none.
    init?(message: [UInt8]) {
        guard let status = try? JSONDecoder().decode(WorkerStatus.self, from: Data(message)) else { return nil }
        self = status.bounded
    }

    /// A message that fits: the sentence at its start, and of a Python traceback, which may be of any length, the end, which says most.
    private var bounded: WorkerStatus {
        guard case .failed(let code, let message) = self, message.utf8.count > 8192 else { return self }
        let end = message.utf8.firstIndex(of: UInt8(ascii: "\n")) ?? message.endIndex
        let (sentence, rest) = (message.utf8[..<end], message.utf8[end...])
        var kept = String(decoding: sentence.prefix(2048), as: UTF8.self)
        if sentence.count > 2048 { kept += "…" }
        if !rest.isEmpty {
            kept += (rest.count > 6000 ? "\n…" : "") + String(decoding: rest.suffix(6000), as: UTF8.self)
        }
        return .failed(code: code, message: kept)
    }
}
