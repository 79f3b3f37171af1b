// Defines where log lines go: stderr or a file, whole lines by one write(2) each. It is separate from the handler because
// supervisor, workers and relayed output share it.

import Glibc

/// An open log. May be used from any thread: a line is one write(2), which the kernel does not split (O_APPEND).
package final class LogOutput: Sendable {
    /// The descriptor; it stays the same when the file is reopened, so that children may be given a copy.
    package let descriptor: Int32
    /// The file's path; nil for a descriptor that somebody else opened.
    package let path: String?

    /// Writes to an open descriptor, which stays the caller's.
    package init(descriptor: Int32) {
        self.descriptor = descriptor
        path = nil
    }

    /// Opens `path` for appending and makes it if need be, readable by owner and group only.
    package init(path: String) throws(LoggingError) {
        descriptor = try Self.open(path)
        self.path = path
    }

    deinit { if path != nil { close(descriptor) } }

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

    /// Writes one or more whole lines. What cannot be written (full disk, closed pipe) is lost: a log has nobody to complain to.
    package func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                if count < 0 {
                    if errno == EINTR { continue }
                    guard errno == EAGAIN, waitUntilWritable() else { return }
                    continue
                }
                written += count
            }
        }
    }

    /// Whether a non-blocking descriptor (a terminal that a shell left so) takes more within a second.
    private func waitUntilWritable() -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&request, 1, 1000) == 1
    }

    /// Whether a person is likely to read along.
    package var isTerminal: Bool { isatty(descriptor) == 1 }

    private static func open(_ path: String) throws(LoggingError) -> Int32 {
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw LoggingError(code: .cannotOpen, errno: errno, subject: path) }
        return descriptor
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
