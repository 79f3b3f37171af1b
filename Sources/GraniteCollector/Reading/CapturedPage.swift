// Defines what the collector takes out of a crash page: values, copied once, so that nothing later depends on memory that a worker can
// still write.

package import GraniteReport

package struct CapturedPage: Sendable {
    package var crashID = ""
    package var slot = 0
    package var generation = 0
    /// `off`, `short` or `full`.
    package var level = "full"
    package var pid = 0
    package var isReady = false
    /// CLOCK_REALTIME, 0 = not known.
    package var startedNanoseconds: UInt64 = 0
    package var requestsServed: UInt64 = 0
    package var rssBytes: UInt64 = 0
    /// Address of `_PyRuntime`, 0 = no interpreter.
    package var pythonRuntime: UInt64 = 0
    /// PY_VERSION_HEX.
    package var pythonVersion: UInt32 = 0
    package var suppressedCaptures = 0
    package var requests: [Request] = []
    package var breadcrumbs: [Breadcrumb] = []
    /// nil if no capture began.
    package var capture: Capture?
    /// The crashed thread first.
    package var threads: [RawThread] = []
    package var map = MemoryMap()
    package var memory = SnapshotMemory([])
    /// What of the page made no sense, a sentence each.
    package var problems: [String] = []

    package init() {}

    package struct Request: Sendable, Equatable {
        package var id: String
        package var method: String
        package var target: String
        package var tid: Int
        /// CLOCK_MONOTONIC.
        package var startedNanoseconds: UInt64
        package init(id: String, method: String, target: String, tid: Int, startedNanoseconds: UInt64) {
            self.id = id
            self.method = method
            self.target = target
            self.tid = tid
            self.startedNanoseconds = startedNanoseconds
        }
    }

    /// The handler's own account.
    package struct Capture: Sendable {
        /// 1 claimed … 6 finished (granite_crash_page.h).
        package var stage: UInt32 = 0
        package var kind: CrashReport.Kind = .signal
        package var sequence: UInt32 = 0
        /// enum granite_capture_flag.
        package var flags: UInt32 = 0
        package var crashedTid = 0
        package var signalNumber = 0
        package var signalCode = 0
        package var signalAddress: UInt64 = 0
        package var senderPID = 0
        package var senderUID = 0
        /// CLOCK_REALTIME at entry.
        package var timeNanoseconds: UInt64 = 0
        /// CLOCK_MONOTONIC at entry.
        package var enteredNanoseconds: UInt64 = 0
        /// Name and CLOCK_MONOTONIC at the end of each stage that ended, in order.
        package var stageEnds: [(name: String, nanoseconds: UInt64)] = []
        package var trapNumber: UInt32 = 0
        package var errorCode: UInt64 = 0
        package var secondFaultAddress: UInt64 = 0
        package var secondFaultSignal = 0
        package var subject = ""
        package var message = ""
        package var ownerTid = 0
        package var ownerName = ""
        /// CLOCK_REALTIME, 0 = not known.
        package var createdNanoseconds: UInt64 = 0
        package var creationFrames: [UInt64] = []
        package var handlerFrames: [UInt64] = []

        package init() {}
    }
}
