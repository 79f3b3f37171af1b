// Defines the event loop: epoll, the connections, and what happens to each. Separate from the drivers, which decide on
// which thread the loop and the application run.

import CLinux
import Glibc
import GraniteExchange

/// Accepts, reads, parses, sends and closes. One thread owns it at a time; drivers hand it over with a release and an
/// acquire.
///
/// It is pulled, not pushed: ``nextReady()`` goes through the events at hand until a request is whole, and returns. So
/// its owner may change between any two requests, in the middle of a batch of events.
final class EventLoop {
    /// What the event of an epoll entry that isn't a connection carries; a connection's is its address, which is
    /// larger.
    enum Mark {
        static let wake = 1
        static let stop = 2
        static let listener = 16
        static let end = 4096
    }

    private static let eventCapacity = 256
    /// Reads of one connection in one turn.
    private static let readsPerTurn = 16
    /// Requests from the ready queue in one turn: a client that pipelines without end must not keep the others from
    /// being read.
    private static let requestsPerTurn = 64

    let configuration: ServerConfiguration
    let timeouts: ConnectionTimeouts
    let wakeDescriptor: Int32
    let stopDescriptor: Int32
    let listeners: [Int32]
    private let heartbeat: () -> Void
    let observer: (any ExchangeObserver)?
    let stopSign = StopSign()
    let epoll: Int32
    let maxConnections: Int
    private let tick: UInt64
    private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: EventLoop.eventCapacity)
    private var eventCount = 0
    private var eventIndex = 0
    var connections: [Connection] = []
    var ready = ReadyQueue()
    /// Connections whose turn was over before their bytes were, to be read or to be sent. Each at most once.
    private var resumed: [Connection] = []
    /// Closed in this turn; events of the turn may still point at them.
    private var buried: [Connection] = []
    private var nextTick: UInt64
    private var nextHeartbeat: UInt64
    private var turnsLeft = 0
    var isAccepting = false
    var drainDeadline = UInt64.max
    var requestNumber: UInt64 = 0
    /// Bytes of bodies in temporary files.
    private var spilledBytes = 0

    /// Monotonic nanoseconds, as of the last ``wait(nanoseconds:)``.
    private(set) var now: UInt64
    var isStopping = false
    /// Requests dispatched and not yet back.
    var outstanding = 0

    init(
        configuration: ServerConfiguration, listeners: [Int32], stopDescriptor: Int32,
        observer: (any ExchangeObserver)? = nil,
        heartbeat: @escaping () -> Void = {}
    ) throws(HTTPServerError) {
        self.configuration = configuration
        self.listeners = listeners
        self.stopDescriptor = stopDescriptor
        self.observer = observer
        self.heartbeat = heartbeat
        timeouts = configuration.timeouts
        tick = configuration.tickNanoseconds
        now = granite_monotonic_ns()
        nextTick = now + tick
        nextHeartbeat = now
        maxConnections = max(1, min(configuration.maxConnections, Self.descriptorLimit() - 64))
        epoll = granite_epoll_create()
        if epoll < 0 { throw HTTPServerError(code: .epoll, errorNumber: errno) }
        wakeDescriptor = granite_eventfd()
        if wakeDescriptor < 0 {
            let error = errno
            Glibc.close(epoll)
            throw HTTPServerError(code: .eventDescriptor, errorNumber: error)
        }
        granite_epoll_add(epoll, wakeDescriptor, UInt32(EPOLLIN.rawValue), UnsafeRawPointer(bitPattern: Mark.wake))
        granite_epoll_add(epoll, stopDescriptor, UInt32(EPOLLIN.rawValue), UnsafeRawPointer(bitPattern: Mark.stop))
        for listener in listeners {
            // Accepted sockets inherit it on Linux: one call instead of one per connection. A Unix socket refuses,
            // which is fine.
            var one: Int32 = 1
            setsockopt(listener, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
            let flags = fcntl(listener, F_GETFL)
            if flags < 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) < 0 {
                throw HTTPServerError(code: .listener, errorNumber: errno)
            }
        }
        if !startAccepting() { throw HTTPServerError(code: .listener, errorNumber: errno) }
    }

    deinit {
        for connection in connections { connection.transport.close(reset: false) }
        Glibc.close(wakeDescriptor)
        Glibc.close(epoll)
        events.deallocate()
    }

    private static func descriptorLimit() -> Int {
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 { return 1024 }
        return Int(truncatingIfNeeded: min(limit.rlim_cur, 1 << 30))
    }

    // MARK: - Turns

    /// The loop has nothing left to do, ever: it was told to stop and the last connection is closed.
    var isFinished: Bool { isStopping && connections.isEmpty }

    /// Waits for events, at most until the next tick; a shorter limit may be given, nil is none. Does not wait at all
    /// while there is work that no event will announce; requests in the ready queue are such work unless they are
    /// `heldBack`.
    func wait(nanoseconds: Int64?, heldBack: Bool) {
        buried.removeAll(keepingCapacity: true)
        let untilTick = Int64(truncatingIfNeeded: nextTick > now ? nextTick - now : 0)
        let hasBacklog = !resumed.isEmpty || (ready.count > 0 && !heldBack)
        let limit = hasBacklog ? 0 : min(nanoseconds ?? .max, untilTick)
        let count = granite_epoll_wait(epoll, events, Int32(Self.eventCapacity), limit)
        eventIndex = 0
        eventCount = max(0, Int(count))
        now = granite_monotonic_ns()
        turnsLeft = ready.count + Self.requestsPerTurn
        if !resumed.isEmpty { goOn() }
    }

    /// Without an event the connection's turn comes again after the others'.
    func resume(_ connection: Connection) {
        if connection.isResumed { return }
        connection.isResumed = true
        resumed.append(connection)
    }

    private func goOn() {
        let connections = resumed
        resumed.removeAll(keepingCapacity: true)
        for connection in connections {
            connection.isResumed = false
            switch connection.state.phase {
            case .idle, .head, .body: readOn(connection)
            case .writing: writeOn(connection)
            case .request, .lingering, .closed: continue
            }
        }
    }

    /// The number of events at hand that have not been handled.
    var pendingEvents: Int { eventCount - eventIndex }

    /// The next connection whose request is whole: one that waits, else from the events at hand. Nil when there is
    /// none, or when so many were answered that the other connections must be looked at.
    func nextReady() -> Connection? {
        while true {
            if turnsLeft > 0, let connection = popReady() {
                turnsLeft -= 1
                return connection
            }
            if eventIndex == eventCount { return nil }
            handleNextEvent()
        }
    }

    /// Handles all events at hand.
    func handleEvents() {
        while eventIndex < eventCount { handleNextEvent() }
    }

    /// The connection that waited longest for dispatch.
    func popReady() -> Connection? {
        while let connection = ready.popFirst() {
            if connection.mustClose { close(connection) }
            if connection.state.phase == .request { return connection }
        }
        return nil
    }

    /// Deadlines, the heartbeat, and whatever is done by the clock. Call it when the events at hand are handled: a
    /// client whose bytes are here must not be timed out because the application kept the loop waiting.
    func tickIfDue() {
        if now < nextTick { return }
        nextTick = now + tick
        if now >= nextHeartbeat {
            nextHeartbeat = now + 1_000_000_000
            heartbeat()
        }
        expireQueued()
        for connection in connections where connection.state.deadline <= now && !connection.isInFlight {
            perform(connection.state.deadlinePassed(), on: connection)
        }
        if now >= drainDeadline { cutAll() }
        if !isAccepting && !isStopping && connections.count < maxConnections { _ = startAccepting() }
    }

    private func handleNextEvent() {
        let event = events[eventIndex]
        eventIndex += 1
        let mark = Int(bitPattern: event.data.ptr)
        switch mark {
        case Mark.wake: drain(wakeDescriptor)
        case Mark.stop: stop()
        case Mark.listener..<Mark.end: accept(from: listeners[mark - Mark.listener])
        default:
            // The loop holds every connection that epoll knows, and buries closed ones until the turn is over.
            Unmanaged<Connection>.fromOpaque(UnsafeRawPointer(event.data.ptr))._withUnsafeGuaranteedRef {
                handle($0, events: event.events)
            }
        }
    }

    private func handle(_ connection: Connection, events: UInt32) {
        let broken = events & UInt32(EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0
        if broken || events & UInt32(EPOLLRDHUP.rawValue) != 0 { connection.endIsAnnounced = true }
        if connection.endIsAnnounced || events & UInt32(EPOLLIN.rawValue) != 0 { connection.isReadable = true }
        if connection.isInFlight { return }
        switch connection.state.phase {
        case .closed: return
        case .request:
            // Still in the ready queue: nobody waits for the answer any more.
            if broken { connection.mustClose = true }
        case .writing: writeOn(connection)
        case .lingering: lingerOn(connection)
        case .idle, .head, .body:
            // A "100 Continue" that the socket had refused.
            if connection.writer.output.count > 0 && !connection.writer.send() { return close(connection) }
            if connection.isReadable { readOn(connection) }
        }
    }

    func drain(_ descriptor: Int32) {
        var value: UInt64 = 0
        _ = read(descriptor, &value, 8)
    }

    // MARK: - Closing

    func close(_ connection: Connection, reset: Bool = false) {
        if connection.index >= connections.count || connections[connection.index] !== connection { return }
        connection.state.closed()
        connection.transport.close(reset: reset)
        forgetBody(of: connection)
        buried.append(connection)
        // Swap with the last: the order means nothing.
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.index] = last
            last.index = connection.index
        }
        connection.index = .max
        if !isAccepting && !isStopping && connections.count < maxConnections { _ = startAccepting() }
    }

    // MARK: - Reading

    func readOn(_ connection: Connection) {
        var progressed = false
        var reads = 0
        while true {
            if connection.input.count > 0 || reads == 0 {
                let step = connection.reader.advance(&connection.input)
                if step == .spill {
                    if spill(connection) { continue }
                    reject(connection, .storage)
                    return
                }
                let action = connection.state.advanced(
                    to: step, now: now, progressed: progressed, bodyBytes: connection.reader.bodyLength, timeouts)
                if action != .none {
                    perform(action, on: connection)
                    if action != .sendContinue || connection.state.phase == .closed { return }
                }
            }
            if connection.sawEnd {
                perform(connection.state.peerEnded(), on: connection)
                return
            }
            if !connection.isReadable { return }
            if reads == Self.readsPerTurn {
                resume(connection)
                return
            }
            reads += 1
            connection.input.reserve(connection.reader.wantedRoom(connection.input))
            let room = connection.input.room
            switch connection.transport.read(into: connection.input.end, capacity: room) {
            case .moved(0):
                connection.sawEnd = true
                connection.isReadable = false
            case .moved(let count):
                connection.input.filled(count)
                progressed = true
                // A short read has emptied the socket; what comes later is announced (epoll(7), edge-triggered). But an
                // end that was announced together with these bytes is not announced again.
                if count < room && !connection.endIsAnnounced { connection.isReadable = false }
            case .wouldBlock:
                connection.isReadable = false
                return
            case .failed:
                close(connection)
                return
            }
        }
    }

    private func spill(_ connection: Connection) -> Bool {
        let bytes = connection.pendingSpillBytes
        if bytes > configuration.maxSpilledBytes - spilledBytes { return false }
        if !connection.spill(directory: configuration.temporaryDirectory) { return false }
        spilledBytes += bytes
        connection.spilledBytes += bytes
        return true
    }

    func forgetBody(of connection: Connection) {
        spilledBytes -= connection.spilledBytes
        connection.spilledBytes = 0
        connection.removeBodyFile()
    }

    private func lingerOn(_ connection: Connection) {
        var scratch: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
        // At most 64 KiB a turn; the linger deadline bounds the whole.
        for _ in 0..<1024 {
            let result = withUnsafeMutableBytes(of: &scratch) {
                connection.transport.read(into: $0.baseAddress!, capacity: $0.count)
            }
            switch result {
            case .moved(0), .failed:
                close(connection)
                return
            case .wouldBlock: return
            case .moved: continue
            }
        }
    }

    func perform(_ action: ConnectionState.Action, on connection: Connection) {
        switch action {
        case .none: return
        case .readNext:
            forgetBody(of: connection)
            connection.nextRequest()
            // What has come before the client could know of a stop is answered: closing would reset the connection, and
            // take the response.
            if isStopping { connection.isReadable = true }
            if connection.input.count > 0 || connection.isReadable || connection.sawEnd { readOn(connection) }
            if isStopping && connection.state.isIdle { close(connection) }
        case .sendContinue:
            if !connection.writer.sendContinue() { close(connection) }
        case .dispatch:
            requestNumber += 1
            connection.completedAt = now
            connection.prepareExchange(number: requestNumber, mayKeepConnection: !isStopping)
            ready.append(connection)
        case .reject(let rejection): reject(connection, rejection)
        case .linger:
            connection.transport.endOutput()
            lingerOn(connection)
        case .close: close(connection, reset: connection.writer.needsReset)
        }
    }
}
