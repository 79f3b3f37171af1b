// Defines what the collector takes out of a crash page: values, copied once, so that nothing later depends on memory that a worker can
// still write. What cannot be read becomes a sentence for the report, not an end.

package import GraniteCrashChannel
import GraniteReport

package struct CapturedPage: Sendable {
    /// nil if not even the fixed fields could be read.
    package var status: CrashPage.Status?
    /// nil if no capture began.
    package var capture: CrashPage.Capture?
    /// The crashed thread first.
    package var threads: [RawThread] = []
    package var requests: [CrashPage.Request] = []
    /// The last answered ones, oldest first.
    package var endedRequests: [CrashPage.EndedRequest] = []
    package var breadcrumbs: [CrashPage.Breadcrumb] = []
    /// Oldest first.
    package var trend: [CrashPage.TrendSample] = []
    /// What was counted, the most frequent first.
    package var occasions: [CrashPage.Occasion] = []
    /// Exceptions of C++ and panics of Rust, oldest first.
    package var thrown: [CrashPage.Throw] = []
    package var map = MemoryMap()
    package var snapshot: CrashSnapshot?
    /// What could not be read, a sentence each.
    package var problems: [String] = []

    /// Of a page that cannot be opened.
    package init(problem: String) { problems = [problem] }

    /// Of a process without a page, whose memory was read from outside.
    package init(
        status: CrashPage.Status, capture: CrashPage.Capture, threads: [RawThread], map: MemoryMap,
        snapshot: CrashSnapshot
    ) {
        self.status = status
        self.capture = capture
        self.threads = threads
        self.map = map
        self.snapshot = snapshot
    }

    /// Reads all of it, or without a capture that is not to be reported.
    package init(_ page: CrashPage, withCapture: Bool) {
        status = attempt { () throws(CrashPageError) in try page.status() }
        requests = attempt { () throws(CrashPageError) in try page.requests() } ?? []
        endedRequests = attempt { () throws(CrashPageError) in try page.endedRequests() } ?? []
        breadcrumbs = attempt { () throws(CrashPageError) in try page.breadcrumbs() } ?? []
        trend = attempt { () throws(CrashPageError) in try page.trend() } ?? []
        occasions = attempt { () throws(CrashPageError) in try page.occasions() } ?? []
        thrown = attempt { () throws(CrashPageError) in try page.thrown() } ?? []
        guard withCapture, let capture = attempt({ () throws(CrashPageError) in try page.capture() }),
            capture.stage > .idle, capture.kind != .none
        else {
            return
        }
        self.capture = capture
        let stored = attempt { () throws(CrashPageError) in try page.threads() } ?? []
        threads = stored.enumerated().compactMap { index, thread in
            // Entry 0 is the crashed thread even when it is marked otherwise: the handler stores it first.
            guard thread.state != .unused || index == 0 else { return nil }
            return RawThread(
                tid: Int(thread.tid), name: thread.name, isCrashed: index == 0, hasRegisters: thread.state.hasRegisters,
                fsBase: thread.threadPointer.value, registers: Array(thread.registers.prefix(Registers.count)))
        }
        map = MemoryMap(text: attempt { () throws(CrashPageError) in try page.maps() } ?? [])
        snapshot = attempt { () throws(CrashPageError) in try page.snapshot() }
    }

    private mutating func attempt<Value>(_ body: () throws(CrashPageError) -> Value) -> Value? {
        do throws(CrashPageError) { return try body() } catch {
            problems.append(error.description)
            return nil
        }
    }

    /// The vdso's bytes, if they were copied.
    package var vdso: [UInt8]? {
        guard let snapshot, let mapping = map.mappings.first(where: { $0.path == "[vdso]" }) else { return nil }
        return snapshot.memory(at: mapping.start, atMost: Int(clamping: mapping.end - mapping.start)).map(Array.init)
    }
}
