// Defines what a connection needs of the thing that carries its bytes. It is the seam beside which a TLS transport can
// be put, and where tests put one that lives in memory.

import CLinux
import Glibc

/// The result of one attempt to move bytes.
enum TransferResult: Equatable {
    /// This many bytes; for a read, 0 is the peer's end.
    case moved(Int)
    /// Not now: the other side is slower.
    case wouldBlock
    /// The connection is of no use any more, with the errno.
    case failed(Int32)
}

/// A non-blocking byte stream to one client. Used by one thread at a time: the loop's, or while a request is answered
/// the application's.
protocol Transport: AnyObject {
    func read(into buffer: UnsafeMutableRawPointer, capacity: Int) -> TransferResult
    func send(_ bytes: UnsafeRawBufferPointer) -> TransferResult
    /// Sends two parts with one call.
    func send(_ first: UnsafeRawBufferPointer, then second: UnsafeRawBufferPointer) -> TransferResult
    /// Sends of a file; `moved(0)` means that the file ended.
    func send(file: Int32, offset: Int, length: Int) -> TransferResult
    /// Waits until a send may succeed. Returns false after `milliseconds`. Application threads only: the loop never
    /// waits for one client.
    func waitUntilWritable(milliseconds: Int32) -> Bool
    /// No more will be sent; reading goes on (shutdown(2) SHUT_WR).
    func endOutput()
    /// Both directions end at once, and a thread that waits in ``waitUntilWritable(milliseconds:)`` returns; the
    /// descriptor stays open.
    func cut()
    /// Closes; with `reset` the peer sees an error instead of an orderly end (SO_LINGER 0), so that it can't take a
    /// truncated body for whole.
    func close(reset: Bool)
}

/// A connected stream socket: TCP or Unix.
final class SocketTransport: Transport {
    let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    func read(into buffer: UnsafeMutableRawPointer, capacity: Int) -> TransferResult {
        while true {
            // recv, not read: a socket for sure, and no signal can turn it into a blocking call.
            let count = recv(descriptor, buffer, capacity, Int32(MSG_DONTWAIT))
            if count >= 0 { return .moved(count) }
            if errno != EINTR { return Self.failure(errno) }
        }
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> TransferResult {
        while true {
            let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Self.flags)
            if count >= 0 { return .moved(count) }
            if errno != EINTR { return Self.failure(errno) }
        }
    }

    func send(_ first: UnsafeRawBufferPointer, then second: UnsafeRawBufferPointer) -> TransferResult {
        let count = granite_send_two(descriptor, first.baseAddress, first.count, second.baseAddress, second.count)
        return count >= 0 ? .moved(count) : Self.failure(errno)
    }

    func send(file: Int32, offset: Int, length: Int) -> TransferResult {
        let count = granite_send_file(descriptor, file, Int64(offset), length)
        return count >= 0 ? .moved(count) : Self.failure(errno)
    }

    func waitUntilWritable(milliseconds: Int32) -> Bool {
        while true {
            let ready = granite_wait_writable(descriptor, milliseconds)
            if ready > 0 { return true }
            // An interrupted wait starts anew: a signal storm could lengthen the time-out, but never end a good
            // response.
            if ready == 0 || errno != EINTR { return false }
        }
    }

    func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    func cut() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    func close(reset: Bool) {
        if reset {
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
        Glibc.close(descriptor)
    }

    private static let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)

    private static func failure(_ error: Int32) -> TransferResult {
        error == EAGAIN || error == EWOULDBLOCK ? .wouldBlock : .failed(error)
    }
}
