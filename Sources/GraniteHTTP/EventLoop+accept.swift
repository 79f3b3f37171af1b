// Defines how connections come in: shared listeners, limits of descriptors, pauses. Separate: nothing here concerns a
// request.

import CLinux
import Glibc

extension EventLoop {
    /// Accepts of one turn, so that the other workers, which wait on the same socket, get their share of a burst.
    private static let acceptsPerTurn = 8
    private static let connectionEvents = UInt32(
        EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue)

    /// All listeners or none: one that is watched while nobody accepts would be announced without end.
    func startAccepting() -> Bool {
        for (index, listener) in listeners.enumerated() {
            // EPOLLEXCLUSIVE: one of the workers wakes for a connection, not all (epoll_ctl(2)).
            let events = UInt32(EPOLLIN.rawValue) | (1 << 28)
            if granite_epoll_add(epoll, listener, events, UnsafeRawPointer(bitPattern: Mark.listener + index)) == 0
                || errno == EEXIST
            {
                continue
            }
            let error = errno
            for added in listeners[..<index] { granite_epoll_remove(epoll, added) }
            errno = error
            return false
        }
        isAccepting = true
        return true
    }

    func stopAccepting() {
        if !isAccepting { return }
        for listener in listeners { granite_epoll_remove(epoll, listener) }
        isAccepting = false
    }

    func accept(from listener: Int32) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(GRANITE_ADDRESS_CAPACITY)) { text in
            for _ in 0..<Self.acceptsPerTurn where isAccepting {
                var port: UInt16 = 0
                // The buffer has GRANITE_ADDRESS_CAPACITY bytes and is not empty.
                let descriptor = granite_accept_peer(listener, text.baseAddress!, &port)
                if descriptor >= 0 {
                    add(
                        descriptor,
                        address: UnsafeRawBufferPointer(start: text.baseAddress, count: strlen(text.baseAddress!)),
                        port: port)
                } else if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM {
                    // Level-triggered, it would be announced again at once: leave it until a connection closes or the
                    // next tick.
                    stopAccepting()
                } else if errno != ECONNABORTED && errno != EINTR && errno != EPROTO {
                    return
                }
            }
        }
    }

    private func add(_ descriptor: Int32, address: UnsafeRawBufferPointer, port: UInt16) {
        let connection = Connection(
            transport: SocketTransport(descriptor: descriptor), address: address, port: port,
            limits: configuration.limits,
            state: ConnectionState(acceptedAt: now, timeouts),
            patience: ClientPatience(
                timeoutNanoseconds: timeouts.write, minimumBytesPerSecond: configuration.minimumWriteBytesPerSecond),
            stopSign: stopSign)
        if granite_epoll_add(epoll, descriptor, Self.connectionEvents, Unmanaged.passUnretained(connection).toOpaque())
            != 0
        {
            connection.transport.close(reset: false)
            return
        }
        connection.index = connections.count
        connections.append(connection)
        if connections.count >= maxConnections { stopAccepting() }
    }
}
