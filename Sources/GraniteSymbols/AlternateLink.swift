// Defines `.gnu_debugaltlink`: the name and build-id of the file into which dwz(1) moved what several debug files have in common.

import CElfutils
import Glibc

struct AlternateLink {
    /// Absolute, or relative to the file that has the link.
    let path: String
    let buildID: [UInt8]

    init?(_ dwarf: OpaquePointer) {
        var name: UnsafePointer<CChar>?
        var bytes: UnsafeRawPointer?
        let count = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &bytes)
        guard let name, let bytes, (1...64).contains(count) else { return nil }
        path = String(boundedCString: name)
        buildID = [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
    }

    /// Where the link points to.
    func target(from object: ObjectFile) -> String {
        guard !path.hasPrefix("/"), let resolved = realpath(object.path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved).directory + "/" + path
    }

    /// True if a file of any kind is there.
    func isTargetThere(from object: ObjectFile) -> Bool {
        var status = stat()
        return stat(target(from: object), &status) == 0
    }
}

extension DebugFileFinder {
    /// The common file: by build-id from the stores and system folders, where the link points to, or by that path's name in the
    /// folder `.dwz` of a system folder, where Debian's debug packages have theirs.
    func file(alternate link: AlternateLink, of object: ObjectFile) -> ObjectFile? {
        if let stored = file(buildID: link.buildID) { return stored }
        let name = link.path.split(separator: "/").suffix(2).joined(separator: "/")
        let candidates =
            [link.target(from: object)]
            + systemFolders.flatMap { ["\($0)/.dwz/\(name)", "\($0)/.dwz/\(name.split(separator: "/").last ?? "")"] }
        for path in candidates {
            if let file = try? ObjectFile(path: path, maxBytes: maxFileBytes), file.buildID == link.buildID {
                return file
            }
        }
        return nil
    }
}
