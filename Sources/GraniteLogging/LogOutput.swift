// Defines where log lines go: stderr or a file, whole lines by one write(2) each. It is separate from the handler because
// supervisor, workers and relayed output share it.

import Glibc
import Synchronization

/// An open log. May be used from any thread: a line is one write(2), which the kernel does not split (O_APPEND).
///
/// A file takes what it is given. A pipe, a terminal or a socket may have a reader that stands still (Ctrl-S, a stalled connection):
/// it is waited for briefly, then lines are dropped and counted, because the supervisor that writes them has workers to watch.
package final class LogOutput: Sendable {
    /// The descriptor; it stays the same when the file is reopened, so that children may be given a copy.
    package let descriptor: Int32
    /// The file's path; nil for a descriptor that somebody else opened and nobody reopens.
    package let path: String?

    /// How long a reader that stands still may hold up one write.
    private static let patienceMilliseconds: Int32 = 100

    private struct State {
        /// The last write did not go through: whoever stands still is not waited for again.
        var isStalled = false
        /// Lines that were dropped and not told of yet.
        var lost = 0
        /// The end of a line that went only in part; it goes first, so that every line in the log is a whole one.
        var rest: [UInt8] = []
    }

    private let state = Mutex(State())
    private let stream: Stream
    private let ownsDescriptor: Bool

    /// Writes to an open descriptor, which stays the caller's.
    ///
    /// - Parameter path: what ``reopen()`` opens onto the descriptor.
    package init(descriptor: Int32, path: String? = nil) {
        self.descriptor = descriptor
        self.path = path
        ownsDescriptor = false
        stream = Stream(descriptor)
    }

    /// Opens `path` for appending and makes it if need be, readable by owner and group only.
    package init(path: String) throws(LoggingError) {
        descriptor = try Self.open(path)
        self.path = path
        ownsDescriptor = true
        stream = Stream(descriptor)
    }

    deinit {
        stream.close()
        if ownsDescriptor { close(descriptor) }
    }

    /// Opens the file again under its path, after a rotation moved the old one away. Lines keep going to the old file if that fails.
    package func reopen() throws(LoggingError) {
        guard let path else { return }
        let fresh = try Self.open(path)
        defer { close(fresh) }
        // dup2 replaces the open file in one step: a line written meanwhile lands in the old or in the new file, never nowhere.
        guard dup2(fresh, descriptor) >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw LoggingError(code: .cannotOpen, errno: errno, subject: path)
        }
    }

    /// Writes one or more whole lines. What cannot be written (full disk, closed pipe, a reader that stands still) is lost.
    ///
    /// - Parameter notice: makes the line that says how many lines were lost before this one.
    package func write(_ bytes: [UInt8], notice: (_ lost: Int) -> [UInt8] = { _ in [] }) {
        state.withLock { state in
            let before = state.rest + (state.lost > 0 ? notice(state.lost) : [])
            let tells = before.count > state.rest.count
            let all = before.isEmpty ? bytes : before + bytes
            let written = stream.write(all, patienceMilliseconds: state.isStalled ? 0 : Self.patienceMilliseconds)
            state.isStalled = written < all.count
            var end = written
            if written > 0, written < all.count, all[written - 1] != UInt8(ascii: "\n") {
                end = all[written...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? all.count
            }
            end = max(end, state.rest.count)
            state.rest = Array(all[written..<end])
            if tells, end >= before.count { state.lost = 0 }
            state.lost += all[max(end, before.count)...].count { $0 == UInt8(ascii: "\n") }
        }
    }

    /// Whether a person is likely to read along.
    package var isTerminal: Bool { isatty(descriptor) == 1 }

    private static func open(_ path: String) throws(LoggingError) -> Int32 {
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw LoggingError(code: .cannotOpen, errno: errno, subject: path) }
        return descriptor
    }
}

/// How bytes are written so that no reader can hold up the writer for long.
private struct Stream {
    /// The descriptor, or one of our own that does not block. O_NONBLOCK belongs to the open file, which whoever gave us the descriptor
    /// shares: it is set on a second one, opened by /proc (proc(5)), never on theirs.
    private let descriptor: Int32
    private let isOurs: Bool
    /// A file, or one of our own that does not block: may be written to without asking first.
    private let neverBlocks: Bool

    init(_ original: Int32) {
        var status = stat()
        guard fstat(original, &status) == 0, status.st_mode & S_IFMT != S_IFREG else {
            (descriptor, isOurs, neverBlocks) = (original, false, true)
            return
        }
        // A socket cannot be opened so, nor another user's terminal: then poll(2) is asked before each piece.
        let twin = Glibc.open("/proc/self/fd/\(original)", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        (descriptor, isOurs, neverBlocks) = twin < 0 ? (original, false, false) : (twin, true, true)
    }

    func close() { if isOurs { Glibc.close(descriptor) } }

    /// Writes as much as goes through; waits once, at most so long.
    ///
    /// - Returns: how many bytes went.
    func write(_ bytes: [UInt8], patienceMilliseconds: Int32) -> Int {
        var patience = patienceMilliseconds
        var written = 0
        while written < bytes.count {
            if !neverBlocks {
                guard isWritable(within: patience) else { return written }
                patience = 0
            }
            // What poll(2) calls writable takes PIPE_BUF bytes (pipe(7)).
            let piece = neverBlocks ? bytes.count - written : min(bytes.count - written, Int(PIPE_BUF))
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + written }, piece) }
            if count >= 0 {
                written += count
            } else if errno == EAGAIN, patience > 0 {
                guard isWritable(within: patience) else { return written }
                patience = 0
            } else if errno != EINTR {
                return written
            }
        }
        return written
    }

    private func isWritable(within milliseconds: Int32) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&request, 1, milliseconds) == 1
    }
}

/// A log that cannot be written.
package struct LoggingError: Error, Equatable, CustomStringConvertible {
    package enum Code: Sendable { case cannotOpen }
    package var code: Code
    package var errno: Int32
    /// The path.
    package var subject: String

    package var description: String {
        "The log file \(subject) cannot be opened for appending: \(String(cString: strerror(errno))). Give another --log-file, or let this user write there."
    }
}
