// Gives a core dump the shape of any other memory. What was not dumped because a file holds it, code above all, is read from that file, if
// it is the build that was loaded.

import Glibc
import GraniteSymbols

/// The memory of a dead process. One thread.
final class CoreMemory: HeldMemory {
    static let maxReadBytes = 65_536

    let isExhausted = false
    let failure: String? = nil
    let letsGo = LettingGo.never

    private let core: CoreFile
    private let map: MemoryMap
    private let modules: ModuleTable
    private var images: [ModuleImage] = []
    /// By module; nil: not its build, or gone.
    private var files: [Int: CoreBytes?] = [:]
    /// Paths of modules whose pages were wanted, without a file of their build.
    private(set) var missingFiles: Set<String> = []

    init(_ core: CoreFile, map: MemoryMap) {
        self.core = core
        self.map = map
        modules = ModuleTable(map.modules())
        // No file has been opened: what is not in the core stays unknown here, and so no file proves itself.
        images = ModuleIdentity.images(of: modules.modules, memory: self, vdso: nil, opensFiles: false)
        canOpenFiles = true
    }

    private var canOpenFiles = false

    func finish() {}

    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] { ranges.map(read) }

    private func read(_ range: MemoryRange) -> [UInt8]? {
        guard range.length > 0, range.length <= Self.maxReadBytes else { return nil }
        let (end, overflow) = range.address.addingReportingOverflow(UInt64(range.length))
        guard !overflow else { return nil }
        var bytes: [UInt8] = []
        var address = range.address
        while address < end {
            guard let piece = piece(address, end), !piece.isEmpty else { return nil }
            if piece.count == range.length { return piece }
            bytes += piece
            address += UInt64(piece.count)
        }
        return bytes
    }

    /// The bytes from an address on, to `end` or as far as they come from one place.
    private func piece(_ address: UInt64, _ end: UInt64) -> [UInt8]? {
        if let segment = core.segment(containing: address) {
            let skipped = address - segment.start
            if skipped < segment.fileBytes {
                let count = min(end - address, segment.fileBytes - skipped)
                return core.bytes.read(at: segment.offset &+ skipped, count: Int(count))
            }
        }
        guard canOpenFiles, let mapping = map.mapping(containing: address), mapping.isFile, !mapping.isWritable,
            let index = modules.index(containing: address)
        else { return nil }
        guard let file = file(index) else {
            if missingFiles.count < 64 { missingFiles.insert(mapping.path) }
            return nil
        }
        let count = min(end, mapping.end) - address
        let offset = mapping.offset &+ (address - mapping.start)
        guard offset < file.size else { return nil }
        // The rest of the last page behind a file's end is zeros.
        let there = min(count, file.size - offset)
        return file.read(at: offset, count: Int(there)).map { $0 + Array(repeating: 0, count: Int(count - there)) }
    }

    private func file(_ index: Int) -> CoreBytes? {
        if let known = files[index] { return known }
        let module = modules.modules[index]
        var found: CoreBytes?
        if let descriptor = ModuleIdentity.open(module, image: images[index]) {
            var status = stat()
            let isKnown = images[index].buildID != nil
            if fstat(descriptor, &status) == 0, isKnown || isOlder(status) && ELFImage(path: module.path) != nil {
                found = CoreBytes(descriptor: descriptor, size: UInt64(max(0, status.st_size)))
            } else {
                close(descriptor)
            }
        }
        files[index] = .some(found)
        return found
    }

    /// A file without a build-id in the core is believed if it was not written since. It must be an
    /// object file: a core may name any file, and what is read of it may come into the report.
    private func isOlder(_ status: stat) -> Bool {
        UInt64(max(0, status.st_mtim.tv_sec)) <= core.writtenNanoseconds / 1_000_000_000
    }
}
