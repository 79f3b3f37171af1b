// Defines MiniDebugInfo: a small ELF file with a symbol table, xz-compressed into the section `.gnu_debugdata` of a stripped object
// (GDB manual, "MiniDebugInfo"). liblzma is opened at run time: it is there wherever libdw is, which is linked to it, and its few
// functions are all that is needed, not its development package.

import CElfutils
import Glibc

enum MiniDebugInfo {
    /// Fedora's largest is some megabytes; a file may claim anything.
    static let maxCompressedBytes = 16 << 20
    static let maxBytes = 64 << 20
    private static let maxDecoderMemory: UInt64 = 128 << 20

    /// The object within; nil if there is none, or it is damaged, too large, or the library is missing.
    static func object(in outer: ObjectFile) -> ObjectFile? {
        guard let section = outer.section(where: { $0.name == ".gnu_debugdata" && $0.hasContent }),
            section.header.sh_size <= UInt64(maxCompressedBytes),
            let data = elf_rawdata(section.handle, nil), let base = data.pointee.d_buf,
            let bytes = decompressed(UnsafeRawBufferPointer(start: base, count: data.pointee.d_size)),
            let object = try? ObjectFile(bytes: bytes, name: outer.path + " (.gnu_debugdata)")
        else { return nil }
        // It is a part of the file that was checked; if it names a build-id, that is no other.
        return object.buildID == nil || object.buildID == outer.buildID ? object : nil
    }

    /// lzma_stream_buffer_decode of lzma/container.h; its ABI is the same since liblzma 5.0.
    private typealias Decode =
        @convention(c) (
            UnsafeMutablePointer<UInt64>, UInt32, OpaquePointer?, UnsafePointer<UInt8>?, UnsafeMutablePointer<Int>, Int,
            UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>, Int
        ) -> Int32

    private static let decode: Decode? = {
        guard let library = dlopen("liblzma.so.5", RTLD_NOW | RTLD_LOCAL),
            let function = dlsym(library, "lzma_stream_buffer_decode")
        else { return nil }
        return unsafeBitCast(function, to: Decode.self)
    }()

    /// The stream's content, of at most ``maxBytes``: the buffer, not the stream, says how much is written.
    static func decompressed(_ stream: UnsafeRawBufferPointer) -> [UInt8]? {
        guard let decode else { return nil }
        let input = stream.bindMemory(to: UInt8.self)
        // The content's size stands at the stream's end only, and may be a lie: a few tries, each 8 times as large.
        var capacity = min(maxBytes, max(1 << 16, input.count &* 8))
        while true {
            var result: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                var memory = maxDecoderMemory
                var read = 0
                result = decode(
                    &memory, 0, nil, input.baseAddress, &read, input.count, buffer.baseAddress, &count, capacity)
                if result != 0 { count = 0 }
            }
            if result == 0 { return bytes }
            // LZMA_BUF_ERROR: the output was too small (or the input too short, which more room does not cure).
            guard result == 10, capacity < maxBytes else { return nil }
            capacity = min(maxBytes, capacity &* 8)
        }
    }
}
