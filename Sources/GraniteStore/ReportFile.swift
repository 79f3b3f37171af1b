// Defines how one report gets to disk and back: all or nothing, and nothing followed that somebody may have planted.

import Glibc
import GraniteReport

enum ReportFile {
    /// A report that is larger is not read. The largest that Granite writes, 512 threads at level full, is a tenth of it.
    static let maxBytes = 64 << 20

    static let suffix = ".json"
    static let temporarySuffix = ".tmp"

    /// The report id in a file's name; nil for all other files.
    static func id(ofName name: String) -> String? {
        guard name.hasSuffix(suffix) else { return nil }
        let id = name.dropLast(suffix.utf8.count)
        return ULID.isValid(id) ? String(id) : nil
    }

    /// Writes `bytes` under a temporary name, then gives it the final one, and makes both survive a power failure. The file's
    /// modification time becomes `nanoseconds` (since 1970), the time of the crash, by which reports are sorted.
    static func write(_ bytes: [UInt8], id: String, nanoseconds: UInt64, in directory: Int32, _ path: String)
        throws(StoreError)
    {
        let temporary = ".\(id).\(getpid())" + temporarySuffix
        let doing = "store report \(id) in"
        unlinkat(directory, temporary, 0)  // of an earlier process with this pid
        let file = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreError.system(errno, doing, path) }
        var failure = writeAll(bytes, to: file)
        if failure == 0 {
            let time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
            withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times in
                times.initialize(repeating: time)
                _ = futimens(file, times.baseAddress)
            }
            if fsync(file) != 0 { failure = errno }
        }
        if close(file) != 0, failure == 0 { failure = errno }
        if failure == 0, renameat(directory, temporary, directory, id + suffix) != 0 { failure = errno }
        guard failure == 0 else {
            unlinkat(directory, temporary, 0)
            throw StoreError.system(failure, doing, path)
        }
        // The name is in the directory, and only its own fsync brings that to disk (fsync(2)). The report is there either way.
        fsync(directory)
    }

    /// The bytes of a report, or its first `limit`. Only a regular file is opened: a FIFO would block, a link would lead elsewhere.
    static func read(id: String, in directory: Int32, _ path: String, limit: Int = .max) throws(StoreError) -> [UInt8] {
        let full = path + "/" + id + suffix
        let file = openat(directory, id + suffix, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { throw StoreError(.notFound, "There is no report \(id) in \(path).") }
            if errno == ELOOP { throw StoreError(.damaged, "\(full) is a symbolic link, not a report.") }
            throw StoreError.system(errno, "read", full)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw StoreError.system(errno, "read", full) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw StoreError(.damaged, "\(full) is no regular file.") }
        guard status.st_size <= maxBytes else {
            throw StoreError(.damaged, "\(full) has \(status.st_size) bytes: too many for a report.")
        }
        var failure: Int32 = 0
        let size = min(Int(status.st_size), limit)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = Glibc.read(file, buffer.baseAddress.map { $0 + count }, size - count)
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                count += got
            }
        }
        guard failure == 0 else { throw StoreError.system(failure, "read", full) }
        return bytes
    }

    private static func writeAll(_ bytes: [UInt8], to file: Int32) -> Int32 {
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = Glibc.write(file, buffer.baseAddress.map { $0 + done }, buffer.count - done)
                if count < 0, errno == EINTR { continue }
                if count < 0 { return errno }
                done += count
            }
            return 0
        }
    }
}
