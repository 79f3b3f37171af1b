// Reads everything that has to be read while a worker is held, in as few round trips as possible, and lets it go. Without a live worker it
// takes the same from the page, as far as it goes.

import CLinux
import Glibc
import GraniteCrashChannel
import GraniteReport

struct EvidenceReader {
    /// Time for the worker's memory: below its own deadline of 1 s, so that it is let go and not given up.
    static let readNanoseconds: UInt64 = 700_000_000
    static let bytesNearRegister = 32
    /// Time that walks of threads which did not crash may hold the worker.
    static let heldWalkNanoseconds: UInt64 = 150_000_000

    /// The collector's end of the memory socket, -1 if the worker is gone.
    var socket: Int32
    /// Whether every thread and the memory near the registers are wanted.
    var isFull: Bool
    /// Whether the local variables of the crashed thread's Python frames are wanted.
    var withLocals = false
    /// False if no file but the page may be opened.
    var opensFiles = true
    /// What was read of the modules before; nil: nothing.
    var known: KnownImages?

    /// Reads, and lets the worker go in every case. `withCapture` is false if the page's capture is not what is to be reported.
    func read(_ page: CrashPage?, withCapture: Bool) -> Evidence {
        let start = granite_monotonic_ns()
        let live = socket >= 0 ? LiveMemory(socket: socket, deadline: start &+ Self.readNanoseconds) : nil
        let captured =
            page.map { CapturedPage($0, withCapture: withCapture) }
            ?? CapturedPage(problem: "The crash page could not be opened.")
        return read(captured, live: live, clock: StepClock(start: start))
    }

    /// The same for values of a page, and any memory; nil: nothing is left of it. Lets the process go in every case.
    func read(_ page: CapturedPage, live: (any HeldMemory)?, clock: StepClock = StepClock()) -> Evidence {
        defer { live?.finish() }
        var clock = clock
        var evidence = Evidence(page: page)
        evidence.errors += page.problems
        clock.lap("collector page")
        guard evidence.page.capture != nil else { return evidence }

        evidence.modules = evidence.page.map.modules()
        let memory: any RemoteMemory = live ?? evidence.page.snapshot.map(SnapshotMemory.init) ?? NoMemory()
        // The small and certain first: what Python's heap holds may take all the time there is.
        if let live, opensFiles {
            evidence.images =
                known?.images(of: evidence.modules, vdso: page.vdso)
                ?? ModuleIdentity.images(of: evidence.modules, memory: live, vdso: page.vdso)
            clock.lap("collector build-ids")
            if evidence.page.capture?.signalNumber == SIGABRT {
                evidence.abortMessage = AbortMessage.read(
                    modules: evidence.modules, images: evidence.images, memory: live)
            }
            if evidence.page.capture?.signalNumber == SIGABRT || evidence.page.capture?.kind == .panic {
                evidence.panicPlace = PanicPlace.find(
                    stack: PanicPlace.stack(of: evidence.page), map: evidence.page.map, memory: live)
            }
        } else {
            evidence.images = ModuleIdentity.images(
                of: evidence.modules, memory: nil, vdso: evidence.page.vdso, opensFiles: opensFiles)
        }
        clock.lap("collector memory")
        evidence.python = readPython(memory, isLive: live != nil, into: &evidence)
        clock.lap("collector python")
        if isFull { evidence.nearRegisters = readNearRegisters(evidence.page, memory) }
        if let failure = live?.failure {
            evidence.errors.append("Not all of the worker's memory could be read: \(failure).")
            evidence.isIncomplete = true
        }
        if live?.isExhausted == true {
            evidence.errors.append("More of the worker's memory was asked for than is kept; only a part was read.")
            evidence.isIncomplete = true
        }
        if opensFiles { unwind(into: &evidence, live: live, clock: &clock) }
        evidence.steps = clock.steps
        return evidence
    }

    private func readPython(_ memory: any RemoteMemory, isLive: Bool, into evidence: inout Evidence) -> PythonSnapshot?
    {
        guard let status = evidence.page.status, let runtime = status.pythonRuntime else { return nil }
        guard isLive else {
            evidence.errors.append("Python frames are missing: the worker was gone before its memory could be read.")
            evidence.isIncomplete = true
            return nil
        }
        do {
            let snapshot = try PythonStackReader(
                runtime: runtime.value, versionHex: status.pythonVersion,
                crashed: evidence.page.threads.first?.fsBase, withLocals: withLocals
            ).read(from: memory)
            evidence.errors += snapshot.problems
            evidence.isIncomplete = evidence.isIncomplete || snapshot.isExhausted
            return snapshot
        } catch {
            evidence.errors.append("Python frames are missing: \(error)")
            evidence.isIncomplete = true
            return nil
        }
    }

    private func readNearRegisters(_ page: CapturedPage, _ memory: any RemoteMemory) -> [Int: [UInt8]] {
        guard let registers = page.threads.first?.registers else { return [:] }
        let ranges = registers.map { MemoryRange(address: $0, length: Self.bytesNearRegister) }
        var found: [Int: [UInt8]] = [:]
        for (index, bytes) in memory.read(ranges).enumerated()
        where page.map.mapping(containing: registers[index]) != nil {
            found[index] = bytes
        }
        return found
    }

    /// The crashed thread while the worker is held: its deep stack, code without a file and the contexts of its async callers are read from
    /// it. The others after it was let go, but for those that may need its memory, as far as there is time.
    private func unwind(into evidence: inout Evidence, live: (any HeldMemory)?, clock: inout StepClock) {
        let page = evidence.page
        let memory = WalkedMemory(
            snapshot: page.snapshot, live: live, map: page.map, isTimed: live?.letsGo != .never)
        if let live, live.letsGo == .beforeWalks {
            _ = StackRests(page).read(page.threads[...], memory: live)
            live.finish()
            memory.workerWasLetGo()
            clock.lap("collector stacks")
        }
        let unwinder = Unwinder(
            modules: evidence.modules, images: evidence.images, map: page.map, vdso: page.vdso, memory: memory)
        guard let crashed = page.threads.first.map(unwinder.unwind) else { return }
        evidence.unwound = [crashed]
        if let live {
            evidence.asyncChains = AsyncChains.read(crashed.asyncContexts, map: page.map, memory: live)
        }
        clock.lap("collector unwind")
        guard isFull, page.threads.count > 1 else { return }

        let others = page.threads.dropFirst()
        var walked: [Int: UnwoundThread] = [:]
        if let live, live.letsGo == .afterCrashedThread {
            let deadline = granite_monotonic_ns() &+ Self.heldWalkNanoseconds
            let needing = StackRests(page).read(others, memory: live)
            // Code without a file is read from the worker when the first frame is found in it.
            let allNeed = evidence.modules.contains { $0.isDeleted && !$0.isVDSO }
            for index in others.indices where allNeed || needing.contains(index) {
                guard granite_monotonic_ns() < deadline else { break }
                walked[index] = unwinder.unwind(page.threads[index])
            }
            live.finish()
            memory.workerWasLetGo()
            clock.lap("collector held walks")
        }
        evidence.unwound += others.indices.map { walked[$0] ?? unwinder.unwind(page.threads[$0]) }
        clock.lap("collector other threads")
    }
}

/// Memory of a worker of which nothing is left.
private struct NoMemory: RemoteMemory {
    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] { Array(repeating: nil, count: ranges.count) }
}

/// Measures one step after the other.
struct StepClock {
    private(set) var steps: [CaptureInfo.Step] = []
    private var last: UInt64

    init(start: UInt64 = granite_monotonic_ns()) { last = start }

    mutating func lap(_ name: String) {
        let now = granite_monotonic_ns()
        steps.append(.init(name: name, microseconds: Int(clamping: (now &- last) / 1000)))
        last = now
    }
}
