// Defines a file opened by a name that comes from a foreign process or a foreign file: only a regular one, and never waiting for the
// other end of a FIFO. Whoever reads symbols, sources or /proc opens by it.

import Glibc

/// An open regular file; closed when the last reference goes.
package final class RegularFile {
    let path: String
    let descriptor: Int32
    /// Bytes, when it was opened.
    let size: Int64
    /// Changes when the path gets other content: device, inode, size and modification time.
    let identity: FileIdentity

    convenience init(path: String) throws(SymbolsError) {
        let (descriptor, status) = try Self.openChecked(path)
        self.init(path: path, descriptor: descriptor, status: status)
    }

    private init(path: String, descriptor: Int32, status: stat) {
        self.path = path
        self.descriptor = descriptor
        self.size = Int64(status.st_size)
        self.identity = FileIdentity(status)
    }

    deinit { close(descriptor) }

    /// A descriptor that the caller must close, or nil.
    package static func open(_ path: String) -> Int32? { try? openChecked(path).descriptor }

    /// The first `limit` bytes, as far as they can be read; nil if the file cannot be opened. Files of /proc have no size, so it reads
    /// to the end.
    package static func contents(_ path: String, limit: Int) -> [UInt8]? {
        guard let descriptor = open(path) else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let wanted = min(chunk.count, limit - bytes.count)
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, wanted) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    private static func openChecked(_ path: String) throws(SymbolsError) -> (descriptor: Int32, status: stat) {
        // O_NONBLOCK: open(2) of a pipe without a writer would wait for one.
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw SymbolsError(code: .cannotOpen, errno: errno, path: path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let reason = errno
            close(descriptor)
            throw SymbolsError(code: .cannotOpen, errno: reason, path: path)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw SymbolsError(code: .notRegularFile, path: path)
        }
        return (descriptor, status)
    }

    /// At most `count` bytes from `offset`; fewer at the file's end or on an error.
    func read(at offset: UInt64, count: UInt64) -> [UInt8] {
        guard let start = Int64(exactly: offset), start < size, count > 0 else { return [] }
        let wanted = Int(min(count, UInt64(size - start)))
        return [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
            while filled < wanted {
                let got = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, wanted - filled, Int(start) + filled)
                if got < 0 && errno == EINTR { continue }
                guard got > 0 else { return }
                filled += got
            }
        }
    }
}

/// What tells one content of a path from another without reading it.
struct FileIdentity: Hashable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    private let seconds: Int
    private let nanoseconds: Int

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }

    /// Of what is at the path now; nil if nothing is.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }
}
