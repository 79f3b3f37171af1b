// Defines how a file of the symbol store or of the index folder comes to be: whole under its name, or not at all.

import Glibc

enum AtomicFile {
    static let suffix = ".tmp"

    /// Writes a temporary file beside `path` by `fill` (which returns an error number or 0), makes it durable and renames it.
    /// - Returns: the error number, 0 if it is there.
    static func write(to path: String, mode: mode_t, fill: (_ descriptor: Int32) -> Int32) -> Int32 {
        let template = "\(path).\(getpid()).\(UInt32.random(in: .min ... .max))\(suffix)"
        let descriptor = open(template, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return errno }
        var failure = fill(descriptor)
        if failure == 0, fchmod(descriptor, mode) != 0 || fsync(descriptor) != 0 { failure = errno }
        if close(descriptor) != 0, failure == 0 { failure = errno }
        if failure == 0, rename(template, path) != 0 { failure = errno }
        if failure != 0 { unlink(template) }
        return failure
    }

    /// - Returns: the error number, or 0.
    static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32 {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return count < 0 ? errno : EIO }
            done += count
        }
        return 0
    }
}

enum FolderListing {
    /// Names in a folder, sorted, without `.` and `..`; at most a million. Empty if it cannot be read.
    static func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < 1_000_000, let entry = readdir(stream) {
            // SAFETY: d_name is NUL-terminated within its 256 bytes (readdir(3)), and the entry lives until the next call.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
