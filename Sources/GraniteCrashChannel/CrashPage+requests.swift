// Reads the requests in flight out of a crash page, while the worker may be changing them.

import CGraniteCapture
import Glibc

extension CrashPage {
    /// A request that the worker is serving, or was when it died.
    package struct Request: Sendable, Equatable {
        /// The application thread that serves it.
        package var tid: UInt32
        /// CLOCK_MONOTONIC.
        package var startedNanoseconds: UInt64
        package var id: String
        package var method: String
        /// Cut to the field's 431 bytes.
        package var target: String
        /// False if the worker died while it wrote the slot: fields may be of two requests.
        package var isComplete: Bool

        package init(
            tid: UInt32, startedNanoseconds: UInt64, id: String, method: String, target: String, isComplete: Bool
        ) {
            self.tid = tid
            self.startedNanoseconds = startedNanoseconds
            self.id = id
            self.method = method
            self.target = target
            self.isComplete = isComplete
        }

        init(_ raw: granite_request, isComplete: Bool) {
            tid = raw.tid
            startedNanoseconds = raw.started_ns
            id = text(of: raw.id)
            method = text(of: raw.method)
            target = text(of: raw.target)
            self.isComplete = isComplete
        }
    }

    /// The requests in flight, by slot. A slot that is being written is read again, a few times.
    package func requests() throws(CrashPageError) -> [Request] {
        var requests: [Request] = []
        let slots = try readSlots()
        let again = try readSlots()
        for index in slots.indices {
            var slot = slots[index]
            var isComplete = slot.sequence % 2 == 0 && slot.sequence == again[index].sequence
            for _ in 0..<8 where !isComplete {
                slot = try readSlot(index)
                let after = try readSlot(index).sequence
                isComplete = slot.sequence % 2 == 0 && slot.sequence == after
            }
            if slot.tid != 0 { requests.append(Request(slot, isComplete: isComplete)) }
        }
        return requests
    }

    /// A request that was answered.
    package struct EndedRequest: Sendable, Equatable {
        /// 0 if the response was cut before it had one.
        package var status: UInt32
        /// CLOCK_MONOTONIC.
        package var startedNanoseconds: UInt64
        package var durationNanoseconds: UInt64
        package var id: String
        /// Cut to 8 bytes.
        package var method: String
        /// Cut to 80 bytes.
        package var target: String

        init(_ raw: granite_ended_request) {
            status = raw.status
            startedNanoseconds = raw.started_ns
            durationNanoseconds = raw.duration_ns
            id = text(of: raw.id)
            method = text(of: raw.method)
            target = text(of: raw.target)
        }
    }

    /// The last answered requests, oldest first. One that was being written, then or while it was read, is left out.
    package func endedRequests() throws(CrashPageError) -> [EndedRequest] {
        let doing = "reading the answered requests in the crash page"
        let written = try read(
            UInt32.self, at: Int(GRANITE_OFFSET_ENDED_COUNT.rawValue), count: 1, while: doing)[0]
        func readRing() throws(CrashPageError) -> [granite_ended_request] {
            try read(
                granite_ended_request.self, at: Int(GRANITE_OFFSET_ENDED.rawValue), count: Int(GRANITE_MAX_ENDED),
                while: doing)
        }
        let (ring, again) = (try readRing(), try readRing())
        let kept = min(written, UInt32(GRANITE_MAX_ENDED))
        return (0..<kept).compactMap { age in
            let number = written &- kept &+ age
            let index = Int(number % UInt32(GRANITE_MAX_ENDED))
            // Each entry bears its number: what a slow writer left there is of another turn of the ring.
            guard ring[index].sequence == number &* 2 &+ 2,
                withUnsafeBytes(
                    of: ring[index],
                    { first in
                        withUnsafeBytes(of: again[index]) { first.elementsEqual($0) }
                    })
            else { return nil }
            return EndedRequest(ring[index])
        }
    }

    private func readSlots() throws(CrashPageError) -> [granite_request] {
        try read(
            granite_request.self, at: Int(GRANITE_OFFSET_REQUESTS.rawValue), count: Int(GRANITE_MAX_REQUESTS),
            while: "reading the requests in the crash page")
    }

    private func readSlot(_ index: Int) throws(CrashPageError) -> granite_request {
        try read(
            granite_request.self,
            at: Int(GRANITE_OFFSET_REQUESTS.rawValue) + index * MemoryLayout<granite_request>.stride, count: 1,
            while: "reading a request in the crash page")[0]
    }
}
