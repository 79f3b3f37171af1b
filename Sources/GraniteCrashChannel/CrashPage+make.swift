// Makes a crash page: the supervisor's part, before it spawns the worker.

import CGraniteCapture
import CLinux
import Glibc

extension CrashPage {
    /// Makes an empty page: a memfd of full size, sealed against growing and shrinking, close-on-exec. The descriptor
    /// is the caller's.
    ///
    /// - Parameters:
    ///   - crashID: at most 31 bytes are kept; a ULID has 26.
    ///   - level: 0 off, 1 short, 2 full (`enum granite_level`).
    package static func make(crashID: String, slot: UInt32, generation: UInt32, level: UInt32) throws(CrashPageError)
        -> Int32
    {
        let doing = "making a crash page"
        let descriptor = granite_memfd_create("granite-crash-page")
        guard descriptor >= 0 else { throw CrashPageError(.system, errno: errno, while: doing) }
        do throws(CrashPageError) {
            let size = UInt64(GRANITE_SNAPSHOT_OFFSET) + UInt64(GRANITE_SNAPSHOT_CAPACITY)
            guard ftruncate(descriptor, off_t(size)) == 0, granite_memfd_seal(descriptor) == 0 else {
                throw CrashPageError(.system, errno: errno, while: doing)
            }
            var head = CrashPageHead()
            head.magic = GRANITE_PAGE_MAGIC
            head.version = UInt32(GRANITE_PAGE_VERSION)
            head.headerSize = UInt32(GRANITE_PAGE_HEADER_SIZE.rawValue)
            withUnsafeMutableBytes(of: &head.crashID) { field in
                for (index, byte) in crashID.utf8.prefix(field.count - 1).enumerated() { field[index] = byte }
            }
            head.slot = slot
            head.generation = generation
            head.level = level
            let written = withUnsafeBytes(of: head) { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
            guard written == MemoryLayout<CrashPageHead>.size else {
                throw CrashPageError(.system, errno: errno, while: doing)
            }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }
}
