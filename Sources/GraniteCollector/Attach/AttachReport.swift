// Makes a dump of a running process that was never prepared for it: it stands still while its stacks are copied, and goes on.

import CLinux
import Glibc
import GraniteCrashChannel
package import GraniteReport
package import GraniteSymbols

package struct AttachReport {
    private let evidence: Evidence
    private let process: ForeignProcess
    /// How long it stood still.
    package let heldNanoseconds: UInt64

    /// Stops the process, reads, and lets it go on: when this returns, it runs.
    package init(pid: Int32) throws(CollectorError) {
        if let refusal = AttachRefusal.before(pid) { throw refusal }
        guard let file = ProcessMemoryFile(pid: pid) else {
            throw AttachRefusal.after(pid, errno: errno, yama: AttachRefusal.yama)
        }
        var clock = StepClock()
        var onlooker = Onlooker(pid: pid, memory: file)
        let tracer = TracerThread(pid: pid)
        clock.lap("attach prepare")
        let stopped: [TracerThread.Thread]
        switch tracer.stop() {
        case .success(let threads): stopped = threads
        case .failure(let reason):
            throw AttachRefusal.after(pid, errno: reason.code, yama: AttachRefusal.yama)
        }
        clock.lap("attach stop")
        onlooker.look()
        let threads = stopped.enumerated().map { onlooker.raw($1, isFirst: $0 == 0) }
        var capture = CrashPage.Capture(
            kind: .dump, thread: UInt32(truncatingIfNeeded: pid), threadCount: threads.count,
            timeNanoseconds: granite_realtime_ns())
        if threads.contains(where: { !$0.hasRegisters }) { capture.flags.insert(.parkTimedOut) }
        let page = onlooker.page(capture, threads)
        clock.lap("attach copy")
        let memory = AttachedMemory(file) { tracer.letGo() }
        memory.map = onlooker.map
        evidence = EvidenceReader(socket: -1, isFull: true, known: onlooker.images).read(
            page, live: memory, clock: clock)
        heldNanoseconds = tracer.heldNanoseconds
        process = ForeignProcess(pid: pid, program: onlooker.program, facts: onlooker.facts, root: onlooker.root)
    }

    /// Reads files alone. Any thread.
    package func make(symbolizer: Symbolizer) -> CrashReport {
        var report = process.report(of: evidence, symbolizer: symbolizer)
        report.capture?.durations?.append(.init(name: "held", microseconds: Int(clamping: heldNanoseconds / 1000)))
        return report
    }
}
