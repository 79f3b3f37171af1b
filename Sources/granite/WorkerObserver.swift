// Notes each request where it outlives the worker, and as an access line. It is separate because it is all that the hot
// path does besides HTTP and WSGI.

import CLinux
import GraniteCapture
import GraniteExchange
import GraniteLogging
import Synchronization

/// Told of each request on application threads: writes the crash page (a few stores) and, if asked for, access lines.
final class WorkerObserver: ExchangeObserver {
    private let requestIDs: RequestIDs
    private let accessLog: AccessLog?
    private let served = Atomic<UInt64>(0)

    init(requestIDs: RequestIDs, accessLog: AccessLog?) {
        self.requestIDs = requestIDs
        self.accessLog = accessLog
    }

    func willRespond(to request: Request, thread: Int) {
        Capture.beginRequest(
            slot: thread, tid: Capture.threadID, id: requestIDs.id(of: request.number), method: request.method,
            target: request.target,
            startedNanoseconds: granite_monotonic_ns())
    }

    func didRespond(
        to request: Request, thread: Int, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64,
        applicationNanoseconds: UInt64
    ) {
        Capture.endRequest(slot: thread, status: status, durationNanoseconds: applicationNanoseconds)
        Capture.setRequestsServed(served.add(1, ordering: .relaxed).newValue)
        accessLog?.append(
            request, id: requestIDs.id(of: request.number), status: status, bodyBytes: bodyBytes,
            queuedNanoseconds: queuedNanoseconds,
            applicationNanoseconds: applicationNanoseconds)
    }

    func didReject(_ request: Request, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64) {
        accessLog?.append(
            request, id: requestIDs.id(of: request.number), status: status, bodyBytes: bodyBytes,
            queuedNanoseconds: queuedNanoseconds,
            applicationNanoseconds: 0)
    }
}
