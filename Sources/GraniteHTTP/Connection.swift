// Defines what belongs to one connection. Separate from the event loop, which moves it, and from its state, which is
// pure.

import CLinux
import Glibc
import GraniteExchange

/// A connection: buffers, reader, writer, state. Used by one thread at a time: by the loop's owner, except that from
/// dispatch to completion the application thread has `writer` (and through it the output and the request's bytes), and
/// the loop touches only `isReadable`.
final class Connection {
    let transport: any Transport
    let writer: ResponseWriter
    var state: ConnectionState
    var reader: RequestReader
    var input = InputBuffer()
    /// Place in the loop's table.
    var index = 0
    /// The socket may have bytes: edge-triggered, so true until a read says otherwise.
    var isReadable = false
    /// Behind the bytes in the socket is the peer's end, or an error.
    var endIsAnnounced = false
    /// The peer has ended its side, and everything before was read.
    var sawEnd = false
    /// Broken, or cut while an application thread had it: close as soon as it comes back.
    var mustClose = false
    /// Between dispatch and completion.
    var isInFlight = false
    /// In the loop's list of those that no event will announce.
    var isResumed = false
    /// Body bytes in the temporary file, as the loop has counted them.
    var spilledBytes = 0
    /// When the request was whole, monotonic nanoseconds.
    var completedAt: UInt64 = 0
    private var bodyFile: Int32 = -1
    private let address: UnsafeMutableRawBufferPointer
    private let port: UInt16

    init(
        transport: any Transport, address: UnsafeRawBufferPointer, port: UInt16, limits: RequestLimits,
        state: ConnectionState,
        patience: ClientPatience, stopSign: StopSign
    ) {
        self.transport = transport
        self.state = state
        self.port = port
        self.address = .allocate(byteCount: address.count, alignment: 1)
        self.address.copyMemory(from: address)
        reader = RequestReader(limits: limits)
        writer = ResponseWriter(transport: transport, patience: patience, stopSign: stopSign)
    }

    deinit {
        removeBodyFile()
        address.deallocate()
    }

    /// Hands the complete request to the writer.
    func prepareExchange(number: UInt64, mayKeepConnection: Bool) {
        let head = reader.head
        let base = UnsafePointer(input.base)
        let root: StaticString = "/"
        let path =
            head.pathIsRoot ? UnsafeRawBufferPointer(start: root.utf8Start, count: 1) : head.path.bytes(in: base)
        let request = Request(
            method: head.method.bytes(in: base), target: head.target.bytes(in: base), path: path,
            query: head.query.bytes(in: base),
            minorVersion: head.minorVersion, headers: UnsafeBufferPointer(start: reader.fields, count: head.fieldCount),
            base: UnsafeRawPointer(base), body: reader.body(input, descriptor: bodyFile),
            remoteAddress: UnsafeRawBufferPointer(address), remotePort: port, number: number)
        writer.prepare(request, isHEAD: head.isHEAD, keepsConnection: head.keepAlive && mayKeepConnection)
    }

    /// Makes ready for a response of our own to a request that could not be read; its first line is told if there was
    /// one.
    func prepareRejection(number: UInt64) {
        var request = Request.empty
        request.remoteAddress = UnsafeRawBufferPointer(address)
        request.remotePort = port
        request.number = number
        let head = reader.head
        if head.target.length > 0 {
            request.method = head.method.bytes(in: input.base)
            request.target = head.target.bytes(in: input.base)
        }
        writer.prepare(request, isHEAD: false, keepsConnection: false)
    }

    /// Body bytes that ``spill(directory:)`` would write.
    var pendingSpillBytes: Int { reader.spillBytes(of: input).count }

    /// Whether bytes of a next request are in the buffer.
    var hasUnparsedInput: Bool { reader.hasInput(after: input) }

    /// Forgets the answered request.
    func nextRequest() {
        removeBodyFile()
        reader.next(&input)
    }

    /// Moves body bytes from memory to the request's file. Returns false when there is no room for them.
    func spill(directory: String) -> Bool {
        if bodyFile < 0 { bodyFile = granite_temporary_file(directory) }
        if bodyFile < 0 { return false }
        var rest = reader.spillBytes(of: input)
        while !rest.isEmpty {
            let count = write(bodyFile, rest.baseAddress, rest.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        reader.didSpill(&input)
        return true
    }

    func removeBodyFile() {
        if bodyFile < 0 { return }
        close(bodyFile)
        bodyFile = -1
    }
}
