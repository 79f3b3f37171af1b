// Makes indexes of symbols after a report is stored, on a thread that gives way to everything: the next crash of the same build, in this or
// another collector, then reads no debug information.

import Glibc
package import GraniteStore
package import GraniteSymbols
import Synchronization

/// One per collector. Any thread.
final class SymbolIndexing: Sendable {
    static let niceness: Int32 = 10
    static let maxPending = 256

    let folder: SymbolIndexFolder

    private struct State {
        var pending: [ModuleImage] = []
        var isRunning = false
    }
    private let state = Mutex(State())

    init(folder: SymbolIndexFolder) { self.folder = folder }

    /// Makes the indexes that are missing, later.
    func make(of modules: [ModuleImage]) {
        guard !modules.isEmpty else { return }
        let starts = state.withLock { state in
            state.pending += modules.prefix(max(0, Self.maxPending - state.pending.count))
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard starts else { return }
        let started = DetachedThread.start { [self] in
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
            while let module = next() { makeNow(of: module) }
        }
        if !started { state.withLock { $0 = State() } }
    }

    /// Makes one if it is missing. It reads files by itself: no lock is held meanwhile.
    func makeNow(of module: ModuleImage) {
        guard let buildID = module.buildID, !folder.hasIndex(of: buildID) else { return }
        // False where the folder cannot be written, or the debug information is not fit for it: then it is read as ever.
        _ = folder.makeIndex(of: module, options: .init())
    }

    private func next() -> ModuleImage? {
        state.withLock { state in
            guard !state.pending.isEmpty else {
                state.isRunning = false
                return nil
            }
            return state.pending.removeFirst()
        }
    }
}

extension SymbolIndexFolder {
    /// `GRANITE_SYMBOL_INDEX`, else a folder within the crash directory, which is the one place that a server can always write to.
    package static func beside(_ store: ReportStore) -> SymbolIndexFolder {
        let named = getenv("GRANITE_SYMBOL_INDEX").map { String(cString: $0) } ?? ""
        return SymbolIndexFolder(path: named.isEmpty ? store.directory.path + "/.symbol-index" : named)
    }
}
