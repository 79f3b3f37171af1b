// Finds the files that a folder offers to a symbol store. Bounded: a folder may be the root of a file system.

import Glibc

/// Regular files that begin like ELF, below a folder.
package enum SymbolFileWalk {
    static let maxDepth = 64
    static let maxEntries = 4_000_000

    /// Calls `body` with each path, in order of names. Symbolic links are not followed, and other file systems (/proc, /sys) not entered.
    /// - Returns: false if there were more entries than are looked at.
    package static func forEachObject(below folder: String, _ body: (String) -> Void) -> Bool {
        var status = stat()
        guard lstat(folder, &status) == 0 else { return true }
        let device = status.st_dev
        var pending = [(path: folder, depth: 0)]
        var entries = 0
        while let (path, depth) = pending.popLast() {
            for name in FolderListing.names(path) {
                entries += 1
                guard entries <= maxEntries else { return false }
                let entry = path + (path.hasSuffix("/") ? "" : "/") + name
                guard lstat(entry, &status) == 0, status.st_dev == device else { continue }
                if status.st_mode & S_IFMT == S_IFDIR, depth < maxDepth { pending.append((entry, depth + 1)) }
                if status.st_mode & S_IFMT == S_IFREG, status.st_size > 64, isELF(entry) { body(entry) }
            }
        }
        return true
    }

    /// True for a folder.
    package static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private static func isELF(_ path: String) -> Bool {
        RegularFile.contents(path, limit: 4) == [0x7f, 0x45, 0x4c, 0x46]
    }
}
