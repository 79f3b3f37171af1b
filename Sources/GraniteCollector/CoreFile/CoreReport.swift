// Makes the report of a core dump: its notes and segments become what a worker's crash page would have said.

import Glibc
import GraniteCrashChannel
package import GraniteReport
package import GraniteSymbols

package struct CoreReport {
    /// Signals that are no reason for a core: those that stop a process for a debugger, which then wrote it.
    private static let stops: Set<Int32> = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]

    private let core: CoreFile
    private let notes: CoreNotes
    private let pid: Int32?
    private let signal: Int32?
    private let witness: CoreWitness?

    /// - Parameters:
    ///   - pid: of the process, where the core was made in a container that counts its own; nil: what the core says.
    ///   - signal: that the kernel passed to its core handler; nil: what the core says.
    ///   - witness: what the process told while it was dumped; nil: it was gone.
    package init(
        _ core: CoreFile, pid: Int32? = nil, signal: Int32? = nil, witness: CoreWitness? = nil
    ) throws(CollectorError) {
        self.witness = witness
        self.core = core
        self.pid = pid
        self.signal = signal
        notes = CoreNotes(core.notes)
        guard !notes.threads.isEmpty else {
            throw CollectorError(.unusableCore, doing: "The core dump names no thread of its process")
        }
    }

    /// Reads files: the core and those that were mapped. Any thread.
    package func make(symbolizer: Symbolizer) -> CrashReport {
        let clock = StepClock()
        let map = CoreMap.make(core, notes)
        let memory = CoreMemory(core, map: map)
        var threads = threads
        let handled = handled(threads[0], map, memory)
        if let handled { threads[0].registers = handled.registers }
        let snapshot = SnapshotCopy.take(threads, map: map, memory: memory)
        let modules = map.modules()
        let images = ModuleIdentity.images(of: modules, memory: memory, vdso: nil)
        let python = PythonLocation.find(modules: modules, images: images, memory: memory)
        let process = pid ?? notes.pid ?? notes.threads[0].tid
        let executable = executable(map)

        var page = CapturedPage(
            status: .init(
                pid: process, pythonRuntime: python.map { Address($0.runtime) },
                pythonVersion: python?.versionHex ?? 0),
            capture: capture(threads, snapshot, handled), threads: threads, map: map, snapshot: snapshot)
        page.problems = problems(memory)
        var facts = witness?.facts ?? ProcessFacts()
        facts.executable = executable ?? facts.executable
        if facts.argv.isEmpty { facts.argv = (notes.arguments ?? "").split(separator: " ").map(String.init) }
        let name = executable?.split(separator: "/").last.map(String.init) ?? notes.name ?? "process \(process)"
        let evidence = EvidenceReader(socket: -1, isFull: true).read(page, live: memory, clock: clock)
        return ForeignProcess(pid: process, program: name, facts: facts, isElsewhere: witness == nil).report(
            of: evidence, symbolizer: symbolizer)
    }

    private var threads: [RawThread] {
        notes.threads.enumerated().map { index, thread in
            RawThread(
                tid: Int(thread.tid), name: name(of: thread.tid), isCrashed: index == 0,
                hasRegisters: true, fsBase: thread.threadPointer, registers: thread.registers)
        }
    }

    /// A core has the first thread's alone. In a container the process counts its threads differently than the witness.
    private func name(of thread: Int32) -> String {
        if pid == notes.pid, let name = witness?.names[thread] { return name }
        return thread == notes.pid ? notes.name ?? "" : ""
    }

    /// What the process died of; 0: of nothing.
    private var number: Int32 {
        let told = notes.signal?.number ?? notes.threads[0].signal
        // gdb's gcore notes the stop that it made itself.
        return signal ?? (Self.stops.contains(told) || told < 0 ? 0 : told)
    }

    /// The fault behind a signal that the program sent to itself, or that the kernel forced on it (SI_KERNEL).
    private func handled(_ thread: RawThread, _ map: MemoryMap, _ memory: CoreMemory) -> HandledSignal? {
        guard let signal = notes.signal, signal.number == number, number != SIGABRT,
            signal.code == 0x80 || signal.code <= 0 && signal.senderPID == notes.pid
        else { return nil }
        return HandledSignal.find(number, on: thread, map: map, memory: memory)
    }

    private func capture(
        _ threads: [RawThread], _ snapshot: CrashSnapshot, _ handled: HandledSignal?
    ) -> CrashPage.Capture {
        var capture = CrashPage.Capture(
            kind: number > 0 ? .signal : .dump, thread: UInt32(truncatingIfNeeded: threads[0].tid),
            threadCount: threads.count, timeNanoseconds: core.writtenNanoseconds)
        capture.signalNumber = number
        if let handled {
            capture.signalCode = handled.code
            capture.signalAddress = Address(handled.address)
            capture.trapNumber = handled.trapNumber
            capture.errorCode = handled.errorCode
            return capture
        }
        guard let signal = notes.signal, signal.number == number else { return capture }
        capture.signalCode = signal.code
        capture.signalErrno = signal.errno
        capture.signalAddress = Address(signal.address)
        capture.senderPID = signal.senderPID
        capture.senderUID = signal.senderUID
        let counter = threads[0].registers[Registers.programCounter]
        let trap = InferredTrap(
            signal: number, code: signal.code, address: signal.address, programCounter: counter,
            code: snapshot.memory(at: counter, atMost: 15).map(Array.init) ?? [])
        capture.trapNumber = trap.trapNumber
        capture.errorCode = trap.errorCode
        return capture
    }

    /// The file whose program headers the kernel showed to the loader.
    private func executable(_ map: MemoryMap) -> String? {
        let address = notes.auxiliary(AT_PHDR) ?? notes.auxiliary(AT_ENTRY)
        return address.flatMap { map.mapping(containing: $0) }.flatMap { $0.isFile ? $0.path : nil }
    }

    private func problems(_ memory: CoreMemory) -> [String] {
        var problems: [String] = []
        if core.isTruncated {
            problems.append(
                "The core dump is cut off: memory that it should hold is missing (a limit of its size, or a full disk)."
            )
        }
        if notes.files.isEmpty {
            problems.append(
                "The core dump does not say which files were mapped (NT_FILE): names of functions are missing.")
        }
        problems += memory.missingFiles.sorted().map {
            "\($0) is not here in the build that the process had loaded: its code, which is not in the core dump, is missing."
        }
        return problems
    }
}
