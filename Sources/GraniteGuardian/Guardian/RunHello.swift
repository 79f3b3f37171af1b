// Reads how a process says hello (granite_run.h). It may be any process of this user, so every field is checked. Pure.

import CGraniteCapture

/// A process image that says it is under capture.
package struct RunHello: Sendable, Equatable {
    package enum Origin: UInt32, Sendable { case exec = 1, fork }

    package var origin: Origin
    /// As the process sees itself: in its own pid namespace.
    package var ownPID: Int32
    /// Its short name; any text, at most 63 bytes, never empty.
    package var program: String

    /// nil for anything but a hello of this version.
    package init?(bytes: [UInt8]) {
        let size = MemoryLayout<granite_run_hello>.size
        guard bytes.count == size else { return nil }
        var raw = granite_run_hello()
        withUnsafeMutableBytes(of: &raw) { $0.copyBytes(from: bytes) }
        guard raw.magic == GRANITE_RUN_MAGIC, raw.version == UInt32(GRANITE_RUN_VERSION),
            let origin = Origin(rawValue: raw.origin)
        else { return nil }
        self.origin = origin
        ownPID = Int32(truncatingIfNeeded: raw.pid)
        let name = withUnsafeBytes(of: raw.program) { field in
            String(decoding: field.prefix(field.count - 1).prefix { $0 != 0 }, as: UTF8.self)
        }
        program = name.isEmpty ? "?" : name
    }
}
