// Reads what the first crash of a program needs of its symbols before there is a crash: cold, libc, the interpreter and the server cost
// most of the time to the first report. It gives way to any job.

import Glibc
import GraniteSymbols
import Synchronization

/// Prepares the shared Symbolizer on a thread of its own. One per collector.
final class SymbolWarmup: Sendable {
    /// Time that a worker has after it was handed over: its first seconds, with cold caches and perhaps a crowd at the door, are its own.
    static let delayNanoseconds: UInt64 = 10_000_000_000
    static let niceness: Int32 = 10
    static let maxMapBytes = 4 << 20

    private let shared: CrashJob.Shared
    private let isStopped = Atomic(false)

    init(shared: CrashJob.Shared) { self.shared = shared }

    /// Begins for a worker that is ready. False if the system has no more threads.
    func start(pid: Int32) -> Bool {
        DetachedThread.start { [self] in
            // Linux keeps the niceness of each thread (setpriority(2), "C library/kernel differences").
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
            for image in Self.images(ofWorker: pid) {
                guard !isStopped.load(ordering: .relaxed) else { return }
                // Without the lock: a job need not wait for it.
                shared.indexing.makeNow(of: image)
                shared.symbolizer.withLock { symbolizer in
                    symbolizer.prepare(image)
                    // They belong to no report; the report that meets them says them again.
                    _ = symbolizer.takeProblems()
                }
            }
        }
    }

    /// A job has come: it must not wait for more than the module that is being read.
    func stop() { isStopped.store(true, ordering: .relaxed) }

    /// The modules in which nearly every stack of a worker has frames.
    static func images(ofWorker pid: Int32) -> [ModuleImage] {
        guard let text = RegularFile.contents("/proc/\(pid)/maps", limit: maxMapBytes) else { return [] }
        let executable = ProcessFacts(pid: pid).executable
        return MemoryMap(text: text).modules().filter { module in
            module.path == executable || module.name.hasPrefix("libc.so.") || module.name.hasPrefix("libpython")
        }.map { module in
            // Where they are mapped makes no difference; which build they are does.
            ModuleImage(
                path: module.path, start: module.start, end: module.end, bias: module.start,
                buildID: ELFImage.buildID(path: module.path))
        }
    }
}
