// Defines how a request's id is made and written: in the crash page, the access log, `granite.request_id` and error
// messages it must be the same. Separate because those are in different modules.

/// Ids of one worker's requests: 8 hexadecimal digits of the worker's own, then 8 of the request's number in it.
package struct RequestIDs: Sendable {
    /// Hexadecimal digits of a request's number; of larger numbers the last ones.
    package static let numberDigits = 8
    /// Hexadecimal digits of a whole id.
    package static let digits = 16

    private let worker: UInt32

    /// - Parameter worker: what tells this worker from all others, such as a random number.
    package init(worker: UInt32) { self.worker = worker }

    /// What precedes the number, as text.
    package var prefix: String { Self.text(UInt64(worker), digits: Self.digits - Self.numberDigits) }

    package func id(of number: UInt64) -> UInt64 { UInt64(worker) << 32 | number & 0xffff_ffff }

    /// The last hexadecimal digits of a number, as many as `buffer` has bytes.
    package static func write(_ value: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
        var rest = value
        for place in buffer.indices.reversed() {
            let digit = UInt8(truncatingIfNeeded: rest & 15)
            buffer[place] = digit < 10 ? 0x30 + digit : 0x57 + digit
            rest >>= 4
        }
    }

    /// The last hexadecimal digits of a number.
    package static func text(_ value: UInt64, digits: Int) -> String {
        String(unsafeUninitializedCapacity: digits) { buffer in
            write(value, to: UnsafeMutableRawBufferPointer(buffer))
            return digits
        }
    }
}
