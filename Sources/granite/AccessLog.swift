// Gathers access lines and writes them by whole blocks, on a thread of its own. It is separate from the observer
// because it has a lock, a clock and a thread.

import CLinux
import GraniteExchange
import GraniteLogging
import Synchronization

/// The access lines of one worker, from all its application threads and the event loop.
///
/// Who appends never waits for the log's reader: only the writer thread calls write(2), outside the lock and without
/// the GIL.
final class AccessLog: Sendable {
    /// A quiet server's line is written at once; a busy one's wait until there are so many bytes, or so long. One
    /// write(2) per request would wake a log reader each time, which costs more than the request.
    private static let blockBytes = 64 * 1024
    private static let quietNanoseconds: UInt64 = 100_000_000
    /// What waits for a reader that has stalled; lines beyond are dropped, and counted.
    private static let maxWaitingBytes = 4 << 20
    /// How long the end of the worker waits for the last lines.
    private static let closeNanoseconds: Int64 = 2_000_000_000

    private struct Pending {
        var formatter: AccessLineFormatter
        var lines: [UInt8] = []
        var dropped: UInt64 = 0
        var isClosing = false
    }

    private let output: LogOutput
    private let format: LogFormat
    private let pending: Mutex<Pending>
    // Semaphores of C are shared by design. They live as long as the process, as the writer thread does.
    private nonisolated(unsafe) let wake = granite_semaphore_create()
    private nonisolated(unsafe) let closed = granite_semaphore_create()

    /// The writer thread could not be started.
    struct Unstarted: Error { let errno: Int32 }

    /// Starts the writer thread.
    init(format: LogFormat, slot: Int, pid: Int32, output: LogOutput) throws(Unstarted) {
        self.output = output
        self.format = format
        pending = Mutex(Pending(formatter: AccessLineFormatter(format: format, slot: slot, pid: pid)))
        var thread: UInt = 0
        let this = Unmanaged.passRetained(self)
        // Never joined: a stalled reader must not keep the worker from ending. The closure takes back the reference
        // passed to it.
        let error = granite_thread_start(
            &thread, "access-log", { Unmanaged<AccessLog>.fromOpaque($0!).takeRetainedValue().writeLines() },
            this.toOpaque())
        if error != 0 {
            this.release()
            throw Unstarted(errno: error)
        }
    }

    /// On the application thread right after the call, or on the loop's. Never waits for more than another append.
    func append(
        _ request: Request, id: UInt64, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64,
        applicationNanoseconds: UInt64
    ) {
        let now = granite_realtime_ns()
        var digits: (UInt64, UInt64) = (0, 0)
        let wakes = withUnsafeMutableBytes(of: &digits) { buffer in
            RequestIDs.write(id, to: buffer)
            let line = AccessLine(
                requestID: UnsafeRawBufferPointer(buffer), method: request.method, target: request.target,
                remote: request.remoteAddress,
                status: status, bodyBytes: bodyBytes, queuedNanoseconds: queuedNanoseconds,
                applicationNanoseconds: applicationNanoseconds)
            return pending.withLock { pending in
                let before = pending.lines.count
                if before >= Self.maxWaitingBytes {
                    pending.dropped += 1
                    return false
                }
                pending.formatter.append(line, time: now, to: &pending.lines)
                // Twice a block: it has begun, and it is full.
                return before == 0 || (before < Self.blockBytes && pending.lines.count >= Self.blockBytes)
            }
        }
        if wakes { granite_semaphore_post(wake) }
    }

    /// Writes what waits and ends the writer thread; gives up on a reader that takes nothing. Nothing may be appended
    /// after.
    func close() {
        pending.withLock { $0.isClosing = true }
        granite_semaphore_post(wake)
        _ = granite_semaphore_wait_for(closed, Self.closeNanoseconds)
    }

    // MARK: - The writer thread

    private func writeLines() {
        var lines: [UInt8] = []
        var writtenAt: UInt64 = 0
        while true {
            granite_semaphore_wait(wake)
            let quiet = granite_monotonic_ns() &- writtenAt
            if quiet < Self.quietNanoseconds {
                // A post means a full block, or the end.
                _ = granite_semaphore_wait_for(wake, Int64(Self.quietNanoseconds - quiet))
            }
            let (dropped, isClosing) = pending.withLock { pending in
                swap(&lines, &pending.lines)
                defer { pending.dropped = 0 }
                return (pending.dropped, pending.isClosing)
            }
            if dropped > 0 { appendNote(of: dropped, to: &lines) }
            if !lines.isEmpty { output.write(lines) { LineLogHandler.notice(ofLost: $0, format: format) } }
            lines.removeAll(keepingCapacity: true)
            writtenAt = granite_monotonic_ns()
            if isClosing { return granite_semaphore_post(closed) }
        }
    }

    private func appendNote(of dropped: UInt64, to lines: inout [UInt8]) {
        var timestamp = LogTimestamp()
        if format == .json { lines += Array("{\"time\":\"".utf8) }
        timestamp.append(nanoseconds: granite_realtime_ns(), to: &lines)
        switch format {
        case .json:
            lines += Array("\",\"level\":\"warning\",\"event\":\"access_lines_dropped\",\"count\":\(dropped)}\n".utf8)
        case .text:
            lines += Array(" warning \(dropped) access lines were dropped: the reader of this log was too slow\n".utf8)
        }
    }
}
