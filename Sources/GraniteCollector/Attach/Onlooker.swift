// Gathers what is known of a process before it is stopped, so that it stands still only for what must not move: which files it runs, where
// Python keeps its state, its threads' names.

import CLinux
import Glibc
import GraniteCrashChannel
import GraniteReport
import GraniteSymbols

/// A running process as it looks from outside.
struct Onlooker {
    let pid: Int32
    let memory: ProcessMemoryFile
    private(set) var facts: ProcessFacts
    private(set) var mapBytes: [UInt8]
    private(set) var map: MemoryMap
    private(set) var images: KnownImages
    private(set) var python: PythonLocation?
    /// nil if it sees the same files as we do.
    let root: ForeignRoot?
    private var names: [Int32: String] = [:]

    /// - Parameter memory: of the process.
    init(pid: Int32, memory: ProcessMemoryFile) {
        self.pid = pid
        self.memory = memory
        facts = ProcessFacts(pid: pid)
        root = ForeignRoot(pid: pid)
        mapBytes = ProcFiles.map(of: pid)
        map = Self.map(mapBytes, root)
        images = KnownImages(map: map, memory: memory)
        python = PythonLocation.find(modules: images.modules, images: images.images, memory: memory)
        for thread in ProcFiles.threads(of: pid) { names[thread] = ProcFiles.name(of: thread, in: pid) }
    }

    /// What changed until the process stood still.
    mutating func look() {
        let now = ProcFiles.map(of: pid)
        guard now != mapBytes, !now.isEmpty else { return }
        mapBytes = now
        map = Self.map(now, root)
        let modules = map.modules()
        guard modules != images.modules else { return }
        images = KnownImages(map: map, memory: memory)
        // Python may just have been loaded, or another program begun.
        python = PythonLocation.find(modules: images.modules, images: images.images, memory: memory)
    }

    private static func map(_ bytes: [UInt8], _ root: ForeignRoot?) -> MemoryMap {
        let map = MemoryMap(text: bytes)
        return root?.reachable(map) ?? map
    }

    func name(of thread: Int32) -> String { names[thread] ?? ProcFiles.name(of: thread, in: pid) }

    /// Short name of the program.
    var program: String {
        facts.executable?.split(separator: "/").last.map {
            $0.split(separator: " ").first.map(String.init) ?? String($0)
        }
            ?? ProcFiles.name(of: pid, in: pid)
    }

    /// The page of a capture of these threads, the first one first; reads their stacks.
    func page(_ capture: CrashPage.Capture, _ threads: [RawThread]) -> CapturedPage {
        var status = CrashPage.Status(
            pid: pid, pythonRuntime: python.map { Address($0.runtime) }, pythonVersion: python?.versionHex ?? 0,
            startedNanoseconds: ProcFiles.startedNanoseconds(of: pid))
        status.residentBytes = ProcFiles.residentBytes(of: pid)
        return CapturedPage(
            status: status, capture: capture, threads: threads, map: map,
            snapshot: SnapshotCopy.take(threads, map: map, memory: memory))
    }

    func raw(_ thread: TracerThread.Thread, isFirst: Bool) -> RawThread {
        RawThread(
            tid: Int(thread.tid), name: name(of: thread.tid), isCrashed: isFirst,
            hasRegisters: thread.registers != nil, fsBase: thread.threadPointer,
            registers: thread.registers?.dwarf ?? Array(repeating: 0, count: Registers.count))
    }
}
