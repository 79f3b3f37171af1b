// Opens files whose names come from a foreign process: only regular ones, and never waiting for the other end of a FIFO.

import Glibc

enum RegularFileDescriptor {
    /// A descriptor for reading, or nil. O_NONBLOCK: opening a FIFO must not wait (open(2)).
    static func open(_ path: String) -> Int32? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// The first `limit` bytes of a file; nil if it cannot be opened. Files of /proc have no size, so it reads to the end.
    static func contents(_ path: String, limit: Int) -> [UInt8]? {
        guard let descriptor = open(path) else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count < limit {
            let wanted = min(chunk.count, limit - bytes.count)
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, wanted) }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}
