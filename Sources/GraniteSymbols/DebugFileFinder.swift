// Defines where separate debug files are looked for. Our own search, because dwfl_standard_find_debuginfo loads libdebuginfod,
// and with it an HTTP client and the chance to wait for a network while a crash is reported.

import CElfutils
import Glibc

/// Finds the file that was split off a stripped object. Reads local folders only.
struct DebugFileFinder {
    /// Folders with a `.build-id` tree, in order: the symbol stores, then the system's.
    let folders: [String]
    /// Folders that mirror the file system below them: `/usr/lib/debug`.
    let systemFolders: [String]
    let maxFileBytes: Int64

    /// The debug file of exactly this build, or nil. `suffix` is `.debug`, or empty for the executable itself.
    func file(buildID: [UInt8], suffix: String = ".debug") -> ObjectFile? {
        guard buildID.count > 1 else { return nil }
        let hex = buildID.map { BuildID.text([$0]) }
        let tail = ".build-id/\(hex[0])/\(hex.dropFirst().joined())\(suffix)"
        for folder in folders + systemFolders {
            if let file = try? ObjectFile(path: "\(folder)/\(tail)", maxBytes: maxFileBytes), file.buildID == buildID {
                return file
            }
        }
        return nil
    }

    /// The debug file that `object` itself names in `.gnu_debuglink`, in GDB's order (GDB manual, "Separate Debug Files").
    func file(linkedFrom object: ObjectFile) -> ObjectFile? {
        guard let link = object.debugLink, let resolved = realpath(object.path, nil) else { return nil }
        defer { free(resolved) }
        let directory = String(cString: resolved).directory
        let candidates =
            ["\(directory)/\(link.name)", "\(directory)/.debug/\(link.name)"]
            + systemFolders.map { "\($0)\(directory)/\(link.name)" }
        for path in candidates {
            guard let file = try? ObjectFile(path: path, maxBytes: maxFileBytes), file.hasDebugInformation else {
                continue
            }
            // The checksum takes a read of the whole file: only where no build-id can tell.
            if let buildID = object.buildID {
                if file.buildID == buildID { return file }
            } else if file.checksum == link.checksum {
                return file
            }
        }
        return nil
    }
}

extension ObjectFile {
    /// CRC-32 of the file's content, as `.gnu_debuglink` has it; 0 for an image in memory.
    fileprivate var checksum: UInt32 {
        var size = 0
        guard let bytes = elf_rawfile(elf, &size) else { return 0 }
        return bytes.withMemoryRebound(to: UInt8.self, capacity: size) {
            CRC32.checksum(UnsafeBufferPointer(start: $0, count: size))
        }
    }
}

/// CRC-32 of ISO 3309 (polynomial 0xedb88320, reflected), a byte a step.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { start in
        (0..<8).reduce(UInt32(start)) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ (value >> 1) : value >> 1 }
    }

    static func checksum(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { crc, byte in table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ (crc >> 8) }
    }
}

extension String {
    /// All before the last slash.
    var directory: String { lastIndex(of: "/").map { String(self[..<$0]) } ?? "." }
}
