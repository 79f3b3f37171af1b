// Waits for many descriptors at once with epoll(7). It is separate so that the loop reads as what it does, not how it waits.

import CLinux
import Glibc
import GraniteLinux
import GraniteReport

/// Calls a handler when its descriptor can be read (or written), or was hung up. Belongs to one thread.
final class Poller {
    /// Names a registration; never used twice, so an event of a closed descriptor cannot reach the next one of that number.
    struct Token: Hashable { fileprivate let value: UInt64 }

    private let epoll: Descriptor
    private var handlers: [Token: (descriptor: Descriptor, handler: () -> Void)] = [:]
    private var next: UInt64 = 0

    init() throws(SupervisorError) {
        epoll = Descriptor(try systemCall("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    }

    func add(_ descriptor: Descriptor, handler: @escaping () -> Void) throws(SupervisorError) -> Token {
        next += 1
        let token = Token(value: next)
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: next))
        try systemCall("epoll_ctl") { epoll_ctl(epoll.number, EPOLL_CTL_ADD, descriptor.number, &event) }
        handlers[token] = (descriptor, handler)
        return token
    }

    /// Also waits until the descriptor can be written, or no longer.
    func watchWriting(_ isWatched: Bool, _ token: Token) {
        guard let descriptor = handlers[token]?.descriptor else { return }
        var event = epoll_event(
            events: isWatched ? EPOLLIN.rawValue | EPOLLOUT.rawValue : EPOLLIN.rawValue,
            data: epoll_data(u64: token.value))
        _ = epoll_ctl(epoll.number, EPOLL_CTL_MOD, descriptor.number, &event)
    }

    /// The descriptor may be closed afterwards; events of it that were already fetched are dropped.
    func remove(_ token: Token?) {
        guard let token, let descriptor = handlers.removeValue(forKey: token)?.descriptor else { return }
        _ = epoll_ctl(epoll.number, EPOLL_CTL_DEL, descriptor.number, nil)
    }

    /// Waits until something happens or the deadline passes, and calls the handlers.
    func wait(until deadline: ContinuousClock.Instant?) {
        let timeout = deadline.map { max(.zero, $0 - .now) }.map { Int64(min($0.seconds, 3600) * 1e9) } ?? -1
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        let count = events.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.map { granite_epoll_wait(epoll.number, $0, Int32(buffer.count), timeout) } ?? 0
        }
        for event in events.prefix(Int(max(0, count))) { handlers[Token(value: event.data.u64)]?.handler() }
    }
}
