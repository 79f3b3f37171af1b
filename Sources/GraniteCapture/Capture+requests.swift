// Notes the request that each application thread serves in the crash page. On the hot path of every request: a few
// stores, no system call, no allocation.

import CGraniteCapture
import Glibc
import Synchronization

extension Capture {
    /// How many requests can be noted at a time.
    public static let requestSlots = Int(GRANITE_MAX_REQUESTS)

    /// A request is about to be given to the application. One slot belongs to one thread at a time.
    ///
    /// - Parameters:
    ///   - slot: the application thread's index, 0 to `requestSlots - 1`; others are ignored.
    ///   - tid: of the calling thread, see ``threadID``; not 0.
    ///   - id: written as 16 hexadecimal digits.
    ///   - method: cut to 23 bytes.
    ///   - target: cut to 431 bytes.
    ///   - startedNanoseconds: CLOCK_MONOTONIC.
    @inline(never)
    public static func beginRequest(
        slot: Int, tid: UInt32, id: UInt64, method: UnsafeRawBufferPointer, target: UnsafeRawBufferPointer,
        startedNanoseconds: UInt64
    ) {
        guard let request = request(slot) else { return }
        let sequence = beginWriting(request)
        request.pointee.tid = tid
        request.pointee.started_ns = startedNanoseconds
        let fields = UnsafeMutableRawPointer(request)
        storeHexadecimal(id, at: fields + offsets.id)
        storeText(method, at: fields + offsets.method, capacity: 24)
        storeText(target, at: fields + offsets.target, capacity: 432)
        endWriting(request, sequence: sequence)
    }

    /// The application has answered the request in `slot`.
    @inline(never)
    public static func endRequest(slot: Int) {
        guard let request = request(slot) else { return }
        let sequence = beginWriting(request)
        request.pointee.tid = 0
        endWriting(request, sequence: sequence)
    }

    /// The same, and its answer is kept among the last `GRANITE_MAX_ENDED`: copies of fixed sizes from the slot, which is at hand.
    ///
    /// - Parameter status: of the response, 0 if it was cut before it had one.
    @inline(never)
    public static func endRequest(slot: Int, status: Int, durationNanoseconds: UInt64) {
        guard let request = request(slot), let page = granite_capture_page() else { return }
        let number = granite_capture_next_ended_request()
        let ended =
            (UnsafeMutableRawPointer(page) + Int(GRANITE_OFFSET_ENDED.rawValue)).assumingMemoryBound(
                to: granite_ended_request.self) + Int(number % UInt32(GRANITE_MAX_ENDED))
        ended.pointee.sequence = number &* 2 &+ 1
        atomicMemoryFence(ordering: .releasing)
        ended.pointee.status = UInt32(truncatingIfNeeded: status)
        ended.pointee.started_ns = request.pointee.started_ns
        ended.pointee.duration_ns = durationNanoseconds
        let (source, target) = (UnsafeRawPointer(request), UnsafeMutableRawPointer(ended))
        memcpy(target + 24, source + offsets.id, 16)
        memcpy(target + 40, source + offsets.method, 8)
        memcpy(target + 48, source + offsets.target, 80)
        atomicMemoryFence(ordering: .releasing)
        ended.pointee.sequence = number &* 2 &+ 2
        let sequence = beginWriting(request)
        request.pointee.tid = 0
        endWriting(request, sequence: sequence)
    }

    private static let offsets = (id: 16, method: 56, target: 80)

    private static func request(_ slot: Int) -> UnsafeMutablePointer<granite_request>? {
        guard slot >= 0, slot < Int(GRANITE_MAX_REQUESTS), let page = granite_capture_page() else { return nil }
        return (UnsafeMutableRawPointer(page) + Int(GRANITE_OFFSET_REQUESTS.rawValue)).assumingMemoryBound(
            to: granite_request.self) + slot
    }

    /// The sequence is odd while the slot is written; readers look at it before and after (a seqlock). The writer is
    /// alone.
    private static func beginWriting(_ request: UnsafeMutablePointer<granite_request>) -> UInt32 {
        let sequence = request.pointee.sequence | 1  // odd already if a longjmp left the last one unfinished
        request.pointee.sequence = sequence
        atomicMemoryFence(ordering: .releasing)
        return sequence
    }

    private static func endWriting(_ request: UnsafeMutablePointer<granite_request>, sequence: UInt32) {
        atomicMemoryFence(ordering: .releasing)
        request.pointee.sequence = sequence &+ 1
    }

    private static func storeText(_ text: UnsafeRawBufferPointer, at field: UnsafeMutableRawPointer, capacity: Int) {
        let count = min(text.count, capacity - 1)
        if count > 0, let bytes = text.baseAddress { memcpy(field, bytes, count) }
        field.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
    }

    private static func storeHexadecimal(_ value: UInt64, at field: UnsafeMutableRawPointer) {
        field.storeBytes(of: hexadecimalDigits(UInt32(truncatingIfNeeded: value >> 32)), as: UInt64.self)
        field.storeBytes(of: hexadecimalDigits(UInt32(truncatingIfNeeded: value)), toByteOffset: 8, as: UInt64.self)
        field.storeBytes(of: 0, toByteOffset: 16, as: UInt8.self)
    }

    /// Eight digits of a word at once: each nibble gets a byte, then `0` or `a` - 10 is added to all.
    private static func hexadecimalDigits(_ value: UInt32) -> UInt64 {
        var nibbles = UInt64(value.byteSwapped)
        nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff
        nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff
        nibbles = ((nibbles & 0x000f_000f_000f_000f) << 8) | ((nibbles >> 4) & 0x000f_000f_000f_000f)
        let letters = ((nibbles &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return nibbles &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
    }
}
