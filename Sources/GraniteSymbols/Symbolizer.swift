// Defines the symbolizer: addresses in, functions and lines out. It only decides which file belongs to which object.

import Glibc

/// Names and lines for addresses. One per collector, kept between crashes so that what was read of a build serves the next.
/// Used by one thread. Never the network, never a process's memory: files by path, and symbol stores by build-id.
package final class Symbolizer {
    package struct Options {
        /// Folders with a `.build-id` tree that are asked before the system's.
        package var symbolStores: [String]
        /// Where the distribution's debug packages put their files.
        package var systemDirectories: [String]
        /// False: names come from the mapped file alone. True: a file without debug information makes its debug file be opened
        /// when an address in it is first asked for (glibc's: 36 to 68 ms).
        package var opensSeparateDebugFiles: Bool
        /// Larger files are not opened.
        package var maxFileBytes: Int64
        /// Objects kept open; each may hold two files.
        package var maxModules: Int
        /// Address space of the objects kept open. With one file of `maxFileBytes` more it must fit into what the process may map.
        package var maxMappedBytes: Int64
        /// Where indexes of builds that were met before lie; nil uses none. Read here, written by ``SymbolIndexFolder`` alone.
        package var indexFolder: SymbolIndexFolder?

        package init(
            symbolStores: [String] = Options.defaultStores, systemDirectories: [String] = ["/usr/lib/debug"],
            opensSeparateDebugFiles: Bool = true, maxFileBytes: Int64 = 2 << 30, maxModules: Int = 192,
            maxMappedBytes: Int64 = 3 << 29, indexFolder: SymbolIndexFolder? = nil
        ) {
            self.indexFolder = indexFolder
            self.symbolStores = symbolStores
            self.systemDirectories = systemDirectories
            self.opensSeparateDebugFiles = opensSeparateDebugFiles
            self.maxFileBytes = maxFileBytes
            self.maxModules = max(1, maxModules)
            self.maxMappedBytes = maxMappedBytes
        }

        /// ``SymbolStore/defaultFolders``.
        package static var defaultStores: [String] { SymbolStore.defaultFolders }
    }

    /// What could not be read, a sentence each, in the order found; at most 64. A report takes them with ``takeProblems()``.
    package private(set) var problems: [String] = []

    private let options: Options
    private let finder: DebugFileFinder
    private var modules: [ModuleKey: (symbols: ModuleSymbols, lastUse: UInt64)] = [:]
    private var uses: UInt64 = 0
    private var unindexed: [ModuleImage] = []

    /// Objects that are open.
    package var openModules: Int { modules.count }

    private static let maxProblems = 64

    package init(options: Options = .init()) {
        self.options = options
        finder = DebugFileFinder(
            folders: options.symbolStores, systemFolders: options.systemDirectories, maxFileBytes: options.maxFileBytes)
    }

    /// The functions that cover a runtime address, innermost inlined function first, the physical one last; empty if no
    /// symbol covers it. A return address (`isReturnAddress`) may belong to the next line or function, so the byte before it
    /// is looked up. Never throws: what could not be read is in `problems`.
    package func symbolize(address: UInt64, isReturnAddress: Bool, in module: ModuleImage) -> [SymbolizedFrame] {
        let pc = isReturnAddress ? address &- 1 : address
        guard pc >= module.start, pc < module.end else { return [] }
        let symbols = symbols(of: module)
        let wasSound = symbols.isSound
        let frames = symbols.frames(at: pc &- module.bias)
        if wasSound && !symbols.isSound { note(SymbolsError(code: .malformed("debug information"), path: module.path)) }
        return frames
    }

    /// `found`, `missing`, `replaced` or `none`, for the report's `modules[].debug`. Looks for a separate debug file, but
    /// doesn't read its content.
    package func debugStatus(of module: ModuleImage) -> String { symbols(of: module).status.rawValue }

    /// Reads ahead, while nothing is urgent, what the first look-up in the module would read.
    package func prepare(_ module: ModuleImage) { symbols(of: module).prepare() }

    /// The objects asked about since the last call of which an index could be made and isn't there: what
    /// ``SymbolIndexFolder/makeIndex(of:options:)`` takes.
    package func takeUnindexed() -> [ModuleImage] {
        defer { unindexed = [] }
        return unindexed
    }

    /// The problems since the last call.
    package func takeProblems() -> [String] {
        defer { problems = [] }
        return problems
    }

    func symbols(of module: ModuleImage) -> ModuleSymbols {
        uses += 1
        let key = ModuleKey(module)
        if let known = modules[key] {
            modules[key]?.lastUse = uses
            return known.symbols
        }
        let opened = open(module)
        if opened.wantsIndex, unindexed.count < Self.maxProblems { unindexed.append(module) }
        makeRoom(for: opened)
        modules[key] = (opened, uses)
        return opened
    }

    private func makeRoom(for opened: ModuleSymbols) {
        var bytes = modules.values.reduce(opened.mappedBytes) { $0 + $1.symbols.mappedBytes }
        while modules.count >= options.maxModules || bytes > options.maxMappedBytes,
            let oldest = modules.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            bytes -= oldest.value.symbols.mappedBytes
            modules[oldest.key] = nil
        }
    }

    private func open(_ module: ModuleImage) -> ModuleSymbols {
        func symbols(_ mapped: ObjectFile?, otherwise: ModuleSymbols.Status) -> ModuleSymbols {
            ModuleSymbols(
                mapped: mapped, buildID: module.buildID, finder: finder,
                opensDebugFiles: options.opensSeparateDebugFiles,
                otherwise: otherwise, indexes: options.indexFolder)
        }
        if let memory = module.memory {
            return symbols(
                noting { () throws(SymbolsError) in try ObjectFile(bytes: memory, name: module.path) }, otherwise: .none
            )
        }
        // `[heap]`, `[vdso]` without its bytes, anonymous memory.
        guard module.path.utf8.first == UInt8(ascii: "/") else { return symbols(nil, otherwise: .none) }
        let (path, isDeleted) = module.path.withoutDeletedMark
        do throws(SymbolsError) {
            let file = try ObjectFile(path: path, maxBytes: options.maxFileBytes)
            if module.buildID.map({ $0 == file.buildID }) ?? !isDeleted { return symbols(file, otherwise: .missing) }
            throw SymbolsError(code: .otherBuild, path: path)
        } catch {
            // A symbol store may hold the executable that the process ran.
            let stored = module.buildID.flatMap { finder.file(buildID: $0, suffix: "") }
            if stored == nil { note(error) }
            switch error.code {
            case .otherBuild: return symbols(stored, otherwise: .replaced)
            case .notELF, .notRegularFile: return symbols(stored, otherwise: module.buildID == nil ? .none : .replaced)
            case .cannotOpen, .tooLarge, .malformed, .noBuildID, .noSymbols, .cannotStore:
                return symbols(stored, otherwise: isDeleted ? .replaced : .missing)
            }
        }
    }

    private func noting<T>(_ body: () throws(SymbolsError) -> T) -> T? {
        do throws(SymbolsError) { return try body() } catch {
            note(error)
            return nil
        }
    }

    private func note(_ error: SymbolsError) {
        let sentence = error.description
        if problems.count < Self.maxProblems && !problems.contains(sentence) { problems.append(sentence) }
    }
}

/// What makes two mapped objects the same for symbols: path and build-id, or where there is no build-id the file's identity.
private struct ModuleKey: Hashable {
    private let path: String
    private let buildID: [UInt8]?
    private let identity: FileIdentity?
    private let memory: [UInt8]?

    init(_ module: ModuleImage) {
        path = module.path
        buildID = module.buildID
        memory = module.memory
        // With a build-id the content is known for good, whatever lies at the path later.
        identity = module.buildID == nil && module.memory == nil ? FileIdentity(path: module.path) : nil
    }

    /// Without the bytes of an image: hashing them at each look-up would cost more than the look-up.
    func hash(into hasher: inout Hasher) {
        hasher.combine(path)
        hasher.combine(buildID)
        hasher.combine(identity)
        hasher.combine(memory?.count)
    }
}

extension String {
    /// /proc/PID/maps appends ` (deleted)` to the path of a mapped file that was removed or replaced (proc(5)).
    fileprivate var withoutDeletedMark: (path: String, isDeleted: Bool) {
        let mark = " (deleted)"
        return hasSuffix(mark) ? (String(dropLast(mark.utf8.count)), true) : (self, false)
    }
}
