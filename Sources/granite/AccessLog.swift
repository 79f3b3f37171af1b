// Gathers access lines and writes them by whole blocks. It is separate from the observer because it has a lock and a clock.

import CLinux
import GraniteExchange
import GraniteLogging
import Synchronization

/// The access lines of one worker, from all its application threads.
final class AccessLog: Sendable {
    /// A quiet server's line is written at once; a busy one's wait until there are so many bytes, or the next heartbeat. One write(2)
    /// per request would wake a log reader each time, which costs more than the request.
    private static let blockBytes = 16 * 1024
    private static let quietNanoseconds: UInt64 = 100_000_000

    private struct Pending {
        var formatter: AccessLineFormatter
        var lines: [UInt8] = []
        var writtenAt: UInt64 = 0
    }

    private let output: LogOutput
    private let format: LogFormat
    private let pending: Mutex<Pending>

    init(format: LogFormat, slot: Int, pid: Int32, output: LogOutput) {
        self.output = output
        self.format = format
        pending = Mutex(Pending(formatter: AccessLineFormatter(format: format, slot: slot, pid: pid)))
    }

    /// On the application thread, right after the call.
    func append(
        _ request: Request, id: UInt64, status: Int, bodyBytes: Int, queuedNanoseconds: UInt64, applicationNanoseconds: UInt64
    ) {
        let now = granite_realtime_ns()
        var digits: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &digits) { buffer in
            for place in 0..<16 {
                buffer[place] = hexadecimalDigit(UInt8(truncatingIfNeeded: id >> UInt64(60 - 4 * place)) & 15)
            }
            let line = AccessLine(
                requestID: UnsafeRawBufferPointer(buffer), method: request.method, target: request.target, remote: request.remoteAddress,
                status: status, bodyBytes: bodyBytes, queuedNanoseconds: queuedNanoseconds, applicationNanoseconds: applicationNanoseconds)
            pending.withLock { pending in
                pending.formatter.append(line, time: now, to: &pending.lines)
                if pending.lines.count >= Self.blockBytes || now &- pending.writtenAt > Self.quietNanoseconds {
                    write(&pending, now: now)
                }
            }
        }
    }

    /// Writes what waits. About once a second, and at the end.
    func flush() {
        pending.withLock { pending in
            if !pending.lines.isEmpty { write(&pending, now: granite_realtime_ns()) }
        }
    }

    private func write(_ pending: inout Pending, now: UInt64) {
        output.write(pending.lines) { LineLogHandler.notice(ofLost: $0, format: format) }
        pending.lines.removeAll(keepingCapacity: true)
        pending.writtenAt = now
    }
}
