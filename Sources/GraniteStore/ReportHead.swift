// Defines the small part of a report that a list needs, cut out of a large file without decoding its thousands of frames.

import GraniteReport

enum ReportHead {
    /// Fields that a list shows.
    private static let listed: Set<String> = [
        "id", "schema", "time", "kind", "reason", "diagnosis", "signal", "process", "worker", "request", "fingerprint",
    ]

    /// The report without its threads, modules and logs; nil if the bytes are no complete object.
    static func report(in bytes: [UInt8]) -> CrashReport? {
        subset(of: bytes, keeping: listed).flatMap { try? CrashReport.decode($0) }
    }

    /// Bytes that ``fingerprint(in:)`` needs of nearly every report.
    static let fingerprintBytes = 32 * 1024

    /// The fingerprint's hash, nil if it is not among the bytes, which may be the beginning of a report alone: Granite writes members in
    /// the order of their names, and few come before it.
    static func fingerprint(in bytes: [UInt8]) -> String? {
        subset(of: bytes, keeping: ["fingerprint"], stopWhenFound: true).flatMap { try? CrashReport.decode($0) }?
            .fingerprint?.hash
    }

    /// The report's kind, under the same condition.
    static func kind(in bytes: [UInt8]) -> CrashReport.Kind? {
        subset(of: bytes, keeping: ["kind"], stopWhenFound: true).flatMap { try? CrashReport.decode($0) }?.kind
    }

    /// The outermost object with only some of its members, as they stand. Members are told apart by brackets and quotes alone; whether
    /// the kept ones are right is for the decoder.
    static func subset(of bytes: [UInt8], keeping wanted: Set<String>, stopWhenFound: Bool = false) -> [UInt8]? {
        bytes.withUnsafeBufferPointer { buffer in
            var cursor = Cursor(bytes: buffer)
            var result: [UInt8] = [UInt8(ascii: "{")]
            var found = 0
            guard cursor.take("{") else { return nil }
            if cursor.take("}") { return cursor.atEnd ? Array("{}".utf8) : nil }
            repeat {
                guard let key = cursor.string(), cursor.take(":"), let value = cursor.value() else { return nil }
                guard wanted.contains(String(decoding: buffer[key.lowerBound + 1..<key.upperBound - 1], as: UTF8.self))
                else { continue }
                if found > 0 { result.append(UInt8(ascii: ",")) }
                result += buffer[key]
                result.append(UInt8(ascii: ":"))
                result += buffer[value]
                found += 1
                if stopWhenFound, found == wanted.count { return result + [UInt8(ascii: "}")] }
            } while cursor.take(",")
            guard cursor.take("}"), cursor.atEnd else { return nil }
            return result + [UInt8(ascii: "}")]
        }
    }

    private struct Cursor {
        let bytes: UnsafeBufferPointer<UInt8>
        var position = 0

        /// True if nothing but white space is left.
        var atEnd: Bool {
            mutating get {
                skipSpace()
                return position == bytes.count
            }
        }

        mutating func take(_ mark: Unicode.Scalar) -> Bool {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: mark) else { return false }
            position += 1
            return true
        }

        /// Range of a string, its quotes included.
        mutating func string() -> Range<Int>? {
            skipSpace()
            let start = position
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { return nil }
            position += 1
            while position < bytes.count {
                let byte = bytes[position]
                position += byte == UInt8(ascii: "\\") ? 2 : 1
                if byte == UInt8(ascii: "\"") { return start..<position }
            }
            return nil
        }

        /// Range of any value. Depth is a counter, not a recursion.
        mutating func value() -> Range<Int>? {
            skipSpace()
            let start = position
            var depth = 0
            while position < bytes.count {
                switch bytes[position] {
                case UInt8(ascii: "\""):
                    guard string() != nil else { return nil }
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 0 { return start < position ? start..<position : nil }
                    depth -= 1
                case UInt8(ascii: ","):
                    if depth == 0 { return start < position ? start..<position : nil }
                default: break
                }
                position += 1
            }
            return nil
        }

        private mutating func skipSpace() {
            while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
        }
    }
}
