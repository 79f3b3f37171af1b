// Stays with a running process until it ends, and keeps what it was doing when a fatal signal came. The process runs at full speed meanwhile:
// it stands still only when a signal is delivered to it, or a thread begins.

import CLinux
import Glibc
import GraniteCrashChannel
package import GraniteReport
package import GraniteSymbols

/// A process that is traced to its end. All calls from one thread.
package final class DeathWatch {
    /// Signals by which a program ends on its own account.
    static let fatal: Set<Int32> = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS]
    /// A program that handles such signals (a virtual machine does) is stopped for so many of them, and for all that it does not handle.
    static let maxHandled = 16

    package enum Ending: Sendable, Equatable {
        case code(Int32)
        case signal(Int32)
        /// It went on without us, or another process took its end.
        case lost
    }

    private struct Found {
        var evidence: Evidence
        var process: ForeignProcess
        var signal: Int32
        var thread: Int32
    }

    private var process: TracedProcess
    private let pid: Int32
    private var found: Found?
    private var handled = 0

    /// Seizes it; it runs on.
    package init(pid: Int32) throws(CollectorError) {
        if let refusal = AttachRefusal.before(pid) { throw refusal }
        self.pid = pid
        process = TracedProcess(pid: pid, follows: true)
        guard process.seize() else { throw AttachRefusal.after(pid, errno: errno, yama: AttachRefusal.yama) }
    }

    /// Waits until it ends.
    package func wait() -> Ending {
        while true {
            var thread: Int32 = 0
            var detail: Int32 = 0
            let event = granite_trace_wait(-1, 1, &thread, &detail)
            switch event {
            case GRANITE_TRACE_GONE:
                if thread <= 0 { return .lost }
                process.note(event, thread, detail)
                // The kernel tells of the first thread last.
                if thread == pid { return Self.ending(detail) }
            case GRANITE_TRACE_SIGNAL where Self.fatal.contains(detail):
                process.note(event, thread, detail)
                capture(thread, detail)
                process.resume()
            case GRANITE_TRACE_NOTHING: break
            default:
                process.note(event, thread, detail)
                if case .some(.some(let stop)) = process.threads[thread] { process.resume(thread, stop) }
            }
        }
    }

    /// The report of its death; nil if it did not die of a signal that was seen coming.
    package func report(of ending: Ending, symbolizer: Symbolizer) -> CrashReport? {
        guard var found, case .signal(let number) = ending, number == found.signal else { return nil }
        var exit = ExitStatus()
        exit.number = Int(number)
        exit.signal = SignalName.name(Int(number))
        found.process.exit = exit
        return found.process.report(of: found.evidence, symbolizer: symbolizer)
    }

    private static func ending(_ status: Int32) -> Ending {
        if status < 0 { return .lost }
        let signal = status & 0x7f
        return signal == 0 ? .code(status >> 8 & 0xff) : .signal(signal)
    }

    /// Stops the rest and reads. A signal of the program's own handler, which sends on what it caught, tells less than the first.
    private func capture(_ thread: Int32, _ number: Int32) {
        var info = granite_trace_signal()
        guard granite_trace_signal_of(thread, &info) == 0 else { return }
        if let found, found.thread == thread, found.signal == number, info.code <= 0 { return }
        if ProcFiles.catches(number, pid) {
            handled += 1
            guard handled <= Self.maxHandled else { return }
        }
        var clock = StepClock()
        process.stop()
        clock.lap("attach stop")
        guard let file = ProcessMemoryFile(pid: pid) else { return }
        let onlooker = Onlooker(pid: pid, memory: file)
        clock.lap("attach prepare")
        let others = process.threads.keys.filter { $0 != thread }.sorted()
        let threads = ([thread] + others).enumerated().map { index, tid in
            let registers = process.registers(of: tid)
            return onlooker.raw(
                .init(tid: tid, registers: registers?.words, threadPointer: registers?.threadPointer ?? 0),
                isFirst: index == 0)
        }
        var page = onlooker.page(
            .init(
                kind: .signal, thread: UInt32(truncatingIfNeeded: thread), threadCount: threads.count,
                timeNanoseconds: granite_realtime_ns()), threads)
        page.capture?.tell(info, threads[0], page.snapshot)
        clock.lap("attach copy")
        let memory = AttachedMemory(file) {}
        memory.map = onlooker.map
        let evidence = EvidenceReader(socket: -1, isFull: true, known: onlooker.images).read(
            page, live: memory, clock: clock)
        found = Found(
            evidence: evidence,
            process: ForeignProcess(pid: pid, program: onlooker.program, facts: onlooker.facts, root: onlooker.root),
            signal: number,
            thread: thread)
    }
}

extension CrashPage.Capture {
    /// What the kernel tells of the signal, and what follows from it.
    fileprivate mutating func tell(_ info: granite_trace_signal, _ thread: RawThread, _ snapshot: CrashSnapshot?) {
        signalNumber = info.number
        signalCode = info.code
        signalErrno = info.error
        signalAddress = Address(info.address)
        senderPID = info.sender_pid
        senderUID = info.sender_uid
        let counter = thread.hasRegisters ? thread.registers[Registers.programCounter] : nil
        let code = counter.flatMap { snapshot?.memory(at: $0, atMost: 15).map(Array.init) }
        let trap = InferredTrap(
            signal: info.number, code: info.code, address: info.address, programCounter: counter, code: code ?? [])
        trapNumber = trap.trapNumber
        errorCode = trap.errorCode
    }
}
