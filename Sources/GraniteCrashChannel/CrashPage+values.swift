// Makes the values of a capture that no handler stored: of a core dump, or of a process that was looked at from outside. Everything after
// the page works on these values, so that such a process is analysed like a worker.

import CGraniteCapture
package import GraniteReport

extension CrashPage.Capture {
    /// A whole capture of one thread; what is not named here is 0 or empty.
    ///
    /// - Parameters:
    ///   - thread: the crashed thread, or the one that a dump shows first.
    ///   - timeNanoseconds: CLOCK_REALTIME.
    package init(kind: CrashPage.Kind, thread: UInt32, threadCount: Int, timeNanoseconds: UInt64) {
        self.init(granite_capture())
        stage = .finished
        self.kind = kind
        cause = kind == .dump ? .asked : .none
        sequence = 1
        crashedThread = thread
        self.threadCount = threadCount
        parkedCount = max(0, threadCount - 1)
        self.timeNanoseconds = timeNanoseconds
    }
}

extension CrashPage.Status {
    /// Of a process that has no page.
    ///
    /// - Parameters:
    ///   - pythonRuntime: address of `_PyRuntime`; nil if it runs no Python.
    ///   - pythonVersion: `PY_VERSION_HEX`; 0 without Python.
    ///   - startedNanoseconds: CLOCK_REALTIME; 0 if it is not known.
    package init(pid: Int32, pythonRuntime: Address?, pythonVersion: UInt32, startedNanoseconds: UInt64 = 0) {
        self.init(crashID: "", level: 2, pid: pid)
        self.pythonRuntime = pythonRuntime
        self.pythonVersion = pythonVersion
        self.startedNanoseconds = startedNanoseconds
    }
}

extension CrashSnapshot {
    /// A piece of a process's memory.
    package struct Piece: Sendable {
        package var kind: Kind
        package var address: UInt64
        package var bytes: [UInt8]

        package init(kind: Kind, address: UInt64, bytes: [UInt8]) {
            self.kind = kind
            self.address = address
            self.bytes = bytes
        }
    }

    /// Of pieces in any order, which may overlap. Empty ones, and those that reach past the end of the address space, are left out.
    package init(_ pieces: [Piece]) {
        var segments: [Segment] = []
        var bytes: [UInt8] = []
        for piece in pieces
        where !piece.bytes.isEmpty && !piece.address.addingReportingOverflow(UInt64(piece.bytes.count)).overflow {
            segments.append(
                .init(kind: piece.kind, address: piece.address, length: piece.bytes.count, position: bytes.count))
            bytes += piece.bytes
        }
        self.init(segments: segments, bytes: bytes)
    }
}
