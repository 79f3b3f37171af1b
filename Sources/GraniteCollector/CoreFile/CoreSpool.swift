// Reads a core dump from standard input into a file without a name: its parts are read in no order, and a pipe has only one. The kernel
// pipes cores so (core(5)), and so does coredumpctl(1).

import CLinux
import Glibc

package enum CoreSpool {
    private static let chunkBytes = 1 << 20

    /// A regular file on standard input is read where it lies.
    /// - Parameters:
    ///   - directory: where the unlinked file is made; the crash directory, which is nobody else's.
    ///   - maxBytes: what comes behind it is left out, and the report says so.
    package static func fromStandardInput(directory: String, maxBytes: Int) throws(CollectorError) -> CoreFile {
        var status = stat()
        if fstat(STDIN_FILENO, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
            let copy = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
            guard copy >= 0 else { throw CollectorError(.systemCall, errno: errno, doing: "Cannot use standard input") }
            return try CoreFile(descriptor: copy, name: "standard input")
        }
        if isatty(STDIN_FILENO) == 1 {
            throw CollectorError(
                .unusableCore,
                doing: "Standard input is a terminal: pipe a core dump, for example with `coredumpctl dump PID`")
        }
        let file = granite_temporary_file(directory)
        guard file >= 0 else {
            throw CollectorError(
                .systemCall, errno: errno, doing: "Cannot make a file for the core dump in \(directory)")
        }
        do throws(CollectorError) {
            try copy(to: file, maxBytes: maxBytes)
        } catch {
            close(file)
            throw error
        }
        return try CoreFile(descriptor: file, name: "standard input")
    }

    private static func copy(to file: Int32, maxBytes: Int) throws(CollectorError) {
        var chunk = [UInt8](repeating: 0, count: chunkBytes)
        var total = 0
        while total < maxBytes {
            let wanted = min(chunk.count, maxBytes - total)
            let count = chunk.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, wanted) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw CollectorError(.systemCall, errno: errno, doing: "Cannot read the core dump from standard input")
            }
            if count == 0 { return }
            let failure = chunk.withUnsafeBytes {
                write(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: file, at: total)
            }
            // A disk that is full keeps what came so far: a core that is cut off still tells something.
            if failure == ENOSPC || failure == EDQUOT || failure == EFBIG { return drain(&chunk) }
            guard failure == 0 else {
                throw CollectorError(.systemCall, errno: failure, doing: "Cannot keep the core dump in a file")
            }
            total += count
        }
        drain(&chunk)
    }

    /// errno, or 0.
    private static func write(_ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: Int) -> Int32 {
        var done = 0
        while done < bytes.count {
            let count = pwrite(file, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + done)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : ENOSPC }
            done += count
        }
        return 0
    }

    /// Reads to the end, so that a writer such as coredumpctl does not die of SIGPIPE.
    private static func drain(_ chunk: inout [UInt8]) {
        while true {
            let count = chunk.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return }
        }
    }
}
