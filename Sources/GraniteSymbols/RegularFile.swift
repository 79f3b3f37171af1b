// Defines a file opened for reading symbols: by path, never blocking, never a device.

import Glibc

/// An open regular file; closed when the last reference goes.
final class RegularFile {
    let path: String
    let descriptor: Int32
    /// Bytes, when it was opened.
    let size: Int64
    /// Changes when the path gets other content: device, inode, size and modification time.
    let identity: FileIdentity

    init(path: String) throws(SymbolsError) {
        // O_NONBLOCK: open(2) of a pipe without a writer would wait for one.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
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
        self.path = path
        self.descriptor = descriptor
        self.size = Int64(status.st_size)
        self.identity = FileIdentity(status)
    }

    deinit { close(descriptor) }

    /// At most `count` bytes from `offset`; fewer at the file's end or on an error.
    func read(at offset: UInt64, count: UInt64) -> [UInt8] {
        guard let start = Int64(exactly: offset), start < size, count > 0 else { return [] }
        let wanted = Int(min(count, UInt64(size - start)))
        return [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
            while filled < wanted {
                let got = pread(descriptor, buffer.baseAddress.map { $0 + filled }, wanted - filled, Int(start) + filled)
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
