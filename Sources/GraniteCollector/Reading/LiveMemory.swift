// Defines the client of a parked worker's memory service (granite_crash_page.h): batches of page reads over its SOCK_SEQPACKET socket.
// It is separate from other memory because it has a deadline: behind it a worker is held.

import CGraniteCapture
import CLinux
import Glibc

/// The memory of a worker whose handler serves it. Belongs to the thread of one job.
package final class LiveMemory: HeldMemory {
    package let letsGo = LettingGo.afterCrashedThread
    /// What is cached: all that the readers may ask for.
    static let maxPages = RemotePages.maxPages
    static let pageBytes: UInt64 = 4096
    /// Answers that were not asked for, in a row.
    static let maxStrays = 256

    private let socket: Int32
    /// CLOCK_MONOTONIC, nanoseconds.
    private let deadline: UInt64
    private var isFinished = false
    /// nil: the page is not mapped. A page that is not in here was not asked for yet.
    private var pages: [UInt64: [UInt8]?] = [:]
    /// True once ``maxPages`` are cached and another was asked for.
    package private(set) var isExhausted = false
    /// Why nothing more can be read; nil while the service is up.
    package private(set) var failure: String?

    /// - Parameters:
    ///   - socket: the collector's end; stays the caller's.
    ///   - deadline: CLOCK_MONOTONIC in nanoseconds; every read after it is nil.
    package init(socket: Int32, deadline: UInt64) {
        self.socket = socket
        self.deadline = deadline
    }

    package func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        var missing: [UInt64] = []
        var asked: Set<UInt64> = []
        for range in ranges {
            guard let (first, last) = Self.pageNumbers(range) else { continue }
            for page in first...last where pages[page] == nil && asked.insert(page).inserted { missing.append(page) }
        }
        var position = 0
        while position < missing.count, failure == nil, pages.count < Self.maxPages {
            let batch = missing[position..<min(position + Int(GRANITE_MEMORY_BATCH), missing.count)]
            fetch(Array(batch))
            position += batch.count
        }
        if position < missing.count, failure == nil { isExhausted = true }
        return ranges.map(cached)
    }

    /// Lets the worker go. The handler does not answer it. Only the first call says so: a second one would end the next capture's service.
    package func finish() {
        guard !isFinished else { return }
        isFinished = true
        Self.release(socket)
        failure = failure ?? "the worker was let go"
    }

    /// Tells a handler that nobody will ask any more. Once, and whatever failed before: a worker that does not hear it stands until its
    /// own deadline. Never waits.
    package static func release(_ socket: Int32) {
        var request = granite_memory_request(operation: GRANITE_MEMORY_DONE.rawValue, length: 0, address: 0)
        withUnsafeBytes(of: &request) {
            _ = send(socket, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
    }

    /// First and last page of a range; nil for one that is empty, too long or wraps around.
    private static func pageNumbers(_ range: MemoryRange) -> (UInt64, UInt64)? {
        guard range.length > 0, range.length <= Int(GRANITE_MEMORY_MAX_READ) else { return nil }
        let (last, overflow) = range.address.addingReportingOverflow(UInt64(range.length) - 1)
        return overflow ? nil : (range.address / pageBytes, last / pageBytes)
    }

    private func cached(_ range: MemoryRange) -> [UInt8]? {
        guard let (first, last) = Self.pageNumbers(range) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.length)
        for number in first...last {
            guard case .some(.some(let page)) = pages[number] else { return nil }
            let from = number == first ? Int(range.address % Self.pageBytes) : 0
            let to = min(Int(Self.pageBytes), from + range.length - bytes.count)
            guard from <= to, to <= page.count else { return nil }
            page.withUnsafeBytes { bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[from..<to])) }
        }
        return bytes
    }

    /// One message out, one message in for each page.
    private func fetch(_ numbers: [UInt64]) {
        let requests = numbers.map { number in
            granite_memory_request(
                operation: GRANITE_MEMORY_READ.rawValue, length: UInt32(Self.pageBytes),
                address: number &* Self.pageBytes)
        }
        guard requests.withUnsafeBytes(sendMessage) else { return }
        let headerBytes = MemoryLayout<granite_memory_reply>.size
        var message = [UInt8](repeating: 0, count: headerBytes + Int(Self.pageBytes))
        for number in numbers {
            var reply = granite_memory_reply()
            var count = 0
            var strays = 0
            repeat {
                guard let received = receiveMessage(into: &message) else { return }
                guard received >= headerBytes else {
                    return fail("the worker sent \(received) bytes where a reply has \(headerBytes)")
                }
                count = received
                reply = message.withUnsafeBytes { $0.loadUnaligned(as: granite_memory_reply.self) }
                // Answers to a collector that died meanwhile may still be in the socket.
                strays += 1
                guard strays <= Self.maxStrays else { return fail("the worker answers other questions") }
            } while reply.address != number &* Self.pageBytes
            let carried = count - headerBytes
            if reply.result > 0 && Int(reply.result) <= carried {
                pages[number] = Array(message[headerBytes..<(headerBytes + Int(reply.result))])
            } else {
                pages[number] = .some(nil)
            }
        }
    }

    private func sendMessage(_ bytes: UnsafeRawBufferPointer) -> Bool {
        while failure == nil {
            let sent = send(socket, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            if sent == bytes.count { return true }
            if sent < 0, errno == EAGAIN {
                wait(for: Int16(POLLOUT))
            } else if sent >= 0 || errno != EINTR {
                fail("the worker no longer answers")
            }
        }
        return false
    }

    private func receiveMessage(into buffer: inout [UInt8]) -> Int? {
        while failure == nil {
            let count = buffer.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
            if count > 0 { return count }
            if count < 0, errno == EAGAIN {
                wait(for: Int16(POLLIN))
            } else if count == 0 || errno != EINTR {
                fail("the worker no longer answers")
            }
        }
        return nil
    }

    private func wait(for events: Int16) {
        let now = granite_monotonic_ns()
        guard now < deadline else { return fail("the time for reading the worker's memory is over") }
        var descriptor = pollfd(fd: socket, events: events, revents: 0)
        _ = poll(&descriptor, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
    }

    private func fail(_ why: String) { failure = failure ?? why }
}
