// Defines a symbol store: a folder of debug files and executables by build-id, in the layout that GDB, elfutils and debuginfod know.

import CElfutils
import Glibc

/// A store, which need not exist yet. A value without state: several processes may use one folder at the same time.
package struct SymbolStore: Sendable {
    package let directory: String

    package init(directory: String) { self.directory = directory }

    /// One file of the store.
    package struct Entry: Sendable, Equatable {
        package var path: String
        /// As the path says.
        package var buildID: [UInt8]
        /// True for `.debug`: what Granite looks for first.
        package var isDebugFile: Bool
        package var bytes: Int64
        /// Seconds since 1970.
        package var added: Int
        /// Path of the file that it was made from; nil if nobody said.
        package var origin: String?
    }

    /// What ``add(_:)`` did.
    package enum Addition: Sendable, Equatable {
        case added(path: String, SymbolContents)
        /// The store has as much of this build.
        case known(path: String)
    }

    /// Copies a file into the store, under its build-id: as `.debug` if it has debug information or is a debug file, else, with a symbol
    /// table at least, as the executable. A file that has more of the same build replaces one that has less.
    /// - Throws: `SymbolsError`: `notELF`, `noBuildID`, `noSymbols`, `cannotOpen`, `cannotStore`, …
    package func add(_ path: String) throws(SymbolsError) -> Addition {
        let object = try ObjectFile(path: path, maxBytes: .max)
        let contents = object.contents
        guard let buildID = object.buildID, buildID.count > 1 else { throw SymbolsError(code: .noBuildID, path: path) }
        guard !contents.isDisjoint(with: [.dwarf, .symtab, .miniDebugInfo]) else {
            throw SymbolsError(code: .noSymbols, path: path)
        }
        let isDebugFile = contents.contains(.dwarf) || !contents.contains(.code)
        let target = self.path(of: buildID, isDebugFile: isDebugFile)
        if let known = try? ObjectFile(path: target, maxBytes: .max), known.buildID == buildID,
            known.contents.isSuperset(of: contents.subtracting(.code))
        {
            return .known(path: target)
        }
        let folder = target.directory
        guard makeFolders() else { throw SymbolsError(code: .cannotStore, errno: errno, path: directory) }
        for folder in [directory + "/.build-id", folder] where mkdir(folder, 0o755) != 0 && errno != EEXIST {
            throw SymbolsError(code: .cannotStore, errno: errno, path: folder)
        }
        // Who may not read the program may not read it here.
        var status = stat()
        let readers = stat(path, &status) == 0 ? status.st_mode & 0o044 : 0
        let failure = AtomicFile.write(to: target, mode: 0o600 | readers) { object.copy(to: $0) }
        guard failure == 0 else { throw SymbolsError(code: .cannotStore, errno: failure, path: target) }
        note(origin: path, of: target)
        return .added(path: target, contents)
    }

    /// Where a file of that build lies, if it is there.
    package func path(of buildID: [UInt8], isDebugFile: Bool) -> String {
        let text = BuildID.text(buildID)
        return "\(directory)/.build-id/\(text.prefix(2))/\(text.dropFirst(2))\(isDebugFile ? ".debug" : "")"
    }

    /// All files, by build-id. What has no build-id for a name is left out.
    package func entries() -> [Entry] {
        let root = directory + "/.build-id"
        return FolderListing.names(root).filter { $0.utf8.count == 2 }.flatMap { prefix in
            FolderListing.names("\(root)/\(prefix)").compactMap { entry(prefix: prefix, name: $0) }
        }
    }

    private func entry(prefix: String, name: String) -> Entry? {
        let isDebugFile = name.hasSuffix(".debug")
        guard let buildID = BuildID.bytes(prefix + (isDebugFile ? String(name.dropLast(6)) : name)) else { return nil }
        let path = "\(directory)/.build-id/\(prefix)/\(name)"
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let origin = RegularFile.contents(path + Self.originSuffix, limit: 4096)
        return Entry(
            path: path, buildID: buildID, isDebugFile: isDebugFile, bytes: Int64(status.st_size),
            added: status.st_mtim.tv_sec,
            origin: origin.map { String(decoding: $0.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self) })
    }

    /// What can be read from an entry; empty if it is no ELF file.
    package func contents(of entry: Entry) -> SymbolContents {
        (try? ObjectFile(path: entry.path, maxBytes: .max))?.contents ?? []
    }

    /// Opens an entry and reads all its debug information.
    /// - Returns: what is wrong with it, a sentence each; empty if it is sound.
    package func verify(_ entry: Entry) -> [String] {
        do throws(SymbolsError) {
            let object = try ObjectFile(path: entry.path, maxBytes: .max)
            guard object.buildID == entry.buildID else {
                let found = object.buildID.map { "has build-id \(BuildID.text($0))" } ?? "has no build-id"
                return ["\(entry.path) \(found): it is not the file that its name says."]
            }
            let contents = object.contents
            guard !contents.isDisjoint(with: [.dwarf, .symtab, .miniDebugInfo]) else {
                return [SymbolsError(code: .noSymbols, path: entry.path).description]
            }
            guard contents.contains(.dwarf) else { return [] }
            let finder = DebugFileFinder(folders: [directory], systemFolders: [], maxFileBytes: .max)
            guard let debug = DebugInformation(object, image: object.image, finder: finder) else {
                return [SymbolsError(code: .malformed("debug information"), path: entry.path).description]
            }
            return debug.problems(isCommonPart: object.image.loadSegments.isEmpty).map { "\(entry.path) \($0)" }
        } catch {
            return [error.description]
        }
    }

    /// Removes an entry. False, with errno, if the system refuses.
    package func remove(_ entry: Entry) -> Bool {
        guard unlink(entry.path) == 0 else { return false }
        unlink(entry.path + Self.originSuffix)
        // Refused while the folder holds more.
        rmdir(entry.path.directory)
        return true
    }

    private static let originSuffix = ".origin"

    /// For `list`. Other tools look for `.debug` and for the name without a suffix, never for this.
    private func note(origin: String, of target: String) {
        let resolved = realpath(origin, nil)
        defer { free(resolved) }
        let text = Array((resolved.map { String(cString: $0) } ?? origin).utf8) + [UInt8(ascii: "\n")]
        _ = AtomicFile.write(to: target + Self.originSuffix, mode: 0o644) { descriptor in
            text.withUnsafeBytes { AtomicFile.writeAll($0, to: descriptor) }
        }
    }
}

extension ObjectFile {
    /// - Returns: the error number, 0 if all of it is there.
    fileprivate func copy(to descriptor: Int32) -> Int32 {
        var size = 0
        guard let bytes = elf_rawfile(elf, &size) else { return EIO }
        return AtomicFile.writeAll(UnsafeRawBufferPointer(start: bytes, count: size), to: descriptor)
    }
}
