// Defines the decoder of chunked bodies (RFC 9112 section 7.1). Separate from the reader: it is where parsers disagree
// most.

import Glibc
import GraniteExchange

/// Removes chunked framing in place, strictly: sizes are 1 to 15 hexadecimal digits, chunk extensions are refused (no
/// client sends them, smugglers do), trailers are checked as header lines are, and dropped.
struct ChunkedDecoder {
    enum Outcome: Equatable {
        case incomplete
        case complete
        case rejected(Rejection)
    }

    private enum Phase: Equatable {
        case size
        case data(remaining: Int)
        case dataEnd
        case trailers
    }

    private var phase = Phase.size
    private var trailerLines = 0
    private var trailerBytes = 0
    /// Body bytes decoded since the body began.
    private(set) var decoded = 0

    /// Decodes `bytes[raw..<count]` to `bytes[end...]`, advancing both; `end <= raw` always.
    mutating func decode(
        _ bytes: UnsafeMutablePointer<UInt8>, end: inout Int, raw: inout Int, count: Int,
        limits: borrowing RequestLimits
    ) -> Outcome {
        while true {
            switch phase {
            case .data(let remaining):
                let available = min(remaining, count - raw)
                if end != raw && available > 0 { memmove(bytes + end, bytes + raw, available) }
                end += available
                raw += available
                decoded += available
                if available < remaining {
                    phase = .data(remaining: remaining - available)
                    return .incomplete
                }
                phase = .dataEnd
            case .dataEnd:
                if count - raw < 2 { return .incomplete }
                if bytes[raw] != 0x0d || bytes[raw + 1] != 0x0a { return .rejected(.chunkEnd) }
                raw += 2
                phase = .size
            case .size:
                // 15 digits, CR and LF: a longer line can't become valid.
                guard let newline = lineEnd(bytes, raw, count) else {
                    return count - raw > 16 ? .rejected(.chunkSize) : .incomplete
                }
                guard newline - raw <= 16, let size = Self.parseSize(bytes, raw, newline) else {
                    return .rejected(.chunkSize)
                }
                raw = newline + 1
                if size > limits.maxBodyBytes - decoded { return .rejected(.bodyTooLarge) }
                phase = size == 0 ? .trailers : .data(remaining: size)
            case .trailers:
                guard let newline = lineEnd(bytes, raw, count) else {
                    return rejectionOfTrailer(length: count - raw, limits).map(Outcome.rejected) ?? .incomplete
                }
                if let rejection = rejectionOfTrailer(length: newline - raw, limits) { return .rejected(rejection) }
                if newline == raw || bytes[newline - 1] != 0x0d { return .rejected(.lineEnd) }
                let start = raw
                raw = newline + 1
                if newline - 1 == start { return .complete }
                trailerLines += 1
                trailerBytes += raw - start
                if trailerLines > limits.maxHeaderFields { return .rejected(.tooManyHeaders) }
                switch FieldLine.parse(bytes, start, newline - 1) {
                case .failure(let rejection): return .rejected(rejection)
                case .success(let line): if Self.isForbidden(line.name.bytes(in: bytes)) { return .rejected(.trailer) }
                }
            }
        }
    }

    /// Framing and routing can't come after the body (RFC 9110 section 6.5.1); who sends them there wants parsers to
    /// differ.
    private static func isForbidden(_ name: UnsafeRawBufferPointer) -> Bool {
        equalIgnoringCase(name, "content-length") || equalIgnoringCase(name, "transfer-encoding")
            || equalIgnoringCase(name, "host")
    }

    private func lineEnd(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ count: Int) -> Int? {
        guard let newline = memchr(bytes + start, 0x0a, count - start) else { return nil }
        return UnsafeRawPointer(newline) - UnsafeRawPointer(bytes)
    }

    private func rejectionOfTrailer(length: Int, _ limits: borrowing RequestLimits) -> Rejection? {
        if length > limits.maxHeaderFieldBytes + 1 { return .headerTooLong }
        return trailerBytes + length > limits.maxHeadBytes ? .headTooLong : nil
    }

    /// The line is `bytes[start..<newline]`, at most 15 digits and CR: 60 bits, no overflow.
    private static func parseSize(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ newline: Int) -> Int? {
        guard newline - start >= 2, bytes[newline - 1] == 0x0d else { return nil }
        var size = 0
        for i in start..<(newline - 1) {
            let digit: UInt8
            switch bytes[i] {
            case 0x30...0x39: digit = bytes[i] - 0x30
            case 0x41...0x46: digit = bytes[i] - 0x37
            case 0x61...0x66: digit = bytes[i] - 0x57
            default: return nil
            }
            size = size << 4 | Int(digit)
        }
        return size
    }
}
