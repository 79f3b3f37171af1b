// Gives a module's call frame information and code to a walk, over libdw and libelf (libdw.h). The bytes come from its file if that is the
// build that was loaded, else out of the worker's memory: a wrong file's rows would make frames that never were.

import CElfutils
import Glibc
import GraniteSymbols

/// One loaded object, opened when the first frame is found in it. Belongs to the thread of the walk: libdw has no locks.
final class ModuleCode {
    /// Call frame information that is read out of a worker's memory, at most.
    static let maxRemoteBytes: UInt64 = 4 << 20

    enum Source: Equatable {
        case file
        /// The file is gone or another build; its headers and call frame information were read from memory.
        case memory
        case none
    }

    private(set) var source = Source.none
    /// Runtime address minus address in the object.
    let bias: UInt64
    private var elf: OpaquePointer?
    private let descriptor: Int32
    /// .eh_frame
    private var ehFrames: OpaquePointer?
    private var debugInformation: OpaquePointer?
    /// .debug_frame; belongs to `debugInformation`.
    private lazy var debugFrames: OpaquePointer? = openDebugFrames()
    private var loadSegments: [ELFImage.Segment] = []
    /// What elf_memory(3) points into.
    private var image: UnsafeMutableRawBufferPointer?

    /// - Parameters:
    ///   - descriptor: the file, if it is the loaded build; taken over.
    ///   - vdso: the bytes of the vdso.
    ///   - memory: reads the worker's memory, at most 64 KiB at once.
    init(
        _ module: LoadedModule, bias: UInt64, descriptor: Int32?, vdso: [UInt8]?, memory: (UInt64, Int) -> [UInt8]?
    ) {
        self.bias = bias
        self.descriptor = descriptor ?? -1
        elf_version(UInt32(EV_CURRENT))
        if let descriptor {
            elf = elf_begin(descriptor, ELF_C_READ_MMAP_PRIVATE, nil)
            source = .file
        } else if let image = module.isVDSO ? vdso.flatMap(Self.copy) : Self.readImage(module, bias: bias, memory) {
            self.image = image
            elf = image.baseAddress.flatMap { elf_memory($0.assumingMemoryBound(to: CChar.self), image.count) }
            source = module.isVDSO ? .file : .memory
        }
        guard let elf else {
            source = .none
            return
        }
        var size = 0
        if let raw = elf_rawfile(elf, &size) {
            let head = Array(UnsafeRawBufferPointer(start: raw, count: min(size, 4096)))
            loadSegments = ELFImage(bytes: head)?.loadSegments ?? []
        }
        ehFrames = dwarf_getcfi_elf(elf)
    }

    deinit {
        if let ehFrames { dwarf_cfi_end(ehFrames) }
        if let debugInformation { dwarf_end(debugInformation) }
        if let elf { elf_end(elf) }
        if descriptor >= 0 { close(descriptor) }
        if let image { munmap(image.baseAddress, image.count) }
    }

    /// Hand-written assembly and programs without exceptions may have nothing else. Opening it costs more, so it is not done before the
    /// first address that .eh_frame does not know.
    private func openDebugFrames() -> OpaquePointer? {
        guard source == .file, image == nil, let elf else { return nil }
        debugInformation = dwarf_begin_elf(elf, DWARF_C_READ, nil)
        return debugInformation.flatMap { dwarf_getcfi($0) }
    }

    /// The row for a runtime address.
    func row(at address: UInt64) -> CallFrameRow? {
        row(at: address, in: ehFrames) ?? row(at: address, in: debugFrames)
    }

    private func row(at address: UInt64, in table: OpaquePointer?) -> CallFrameRow? {
        var frame: OpaquePointer?
        guard let table, dwarf_cfi_addrframe(table, address &- bias, &frame) == 0, let frame else { return nil }
        defer { free(UnsafeMutableRawPointer(frame)) }
        return CallFrameRow(frame)
    }

    /// Code at a runtime address; nil if the object does not hold all of it.
    func bytes(_ address: UInt64, _ count: Int) -> [UInt8]? {
        guard source == .file, let elf else { return nil }
        let inFile = address &- bias
        guard
            let segment = loadSegments.first(where: {
                inFile >= $0.address && inFile - $0.address < $0.fileSize
                    && UInt64(count) <= $0.fileSize - (inFile - $0.address)
            })
        else { return nil }
        var size = 0
        guard let raw = elf_rawfile(elf, &size) else { return nil }
        let (offset, overflow) = segment.offset.addingReportingOverflow(inFile - segment.address)
        guard !overflow, offset <= UInt64(size), UInt64(count) <= UInt64(size) - offset else { return nil }
        return Array(UnsafeRawBufferPointer(start: raw + Int(offset), count: count))
    }

    /// Zeroes that take memory only where they are written to: an object may be 1 GiB, and its call frame information stand at its end.
    private static func reserve(_ count: Int) -> UnsafeMutableRawBufferPointer? {
        let flags = Int32(MAP_PRIVATE) | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE)
        guard count > 0, let start = mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0), start != MAP_FAILED else {
            return nil
        }
        return UnsafeMutableRawBufferPointer(start: start, count: count)
    }

    private static func copy(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer? {
        let image = reserve(bytes.count)
        image?.copyBytes(from: bytes)
        return image
    }

    /// The object as a file would have it, but only its headers and what follows PT_GNU_EH_FRAME in that segment (LSB 10.6.2): linkers put
    /// .eh_frame right behind .eh_frame_hdr. Section headers are not mapped, so they are struck out.
    private static func readImage(
        _ module: LoadedModule, bias: UInt64, _ memory: (UInt64, Int) -> [UInt8]?
    ) -> UnsafeMutableRawBufferPointer? {
        guard module.fileOffset == 0, var head = memory(module.start, 4096), let elf = ELFImage(bytes: head),
            let header = elf.segments.first(where: { $0.type == 0x6474_e550 }),
            let segment = elf.loadSegments.first(where: {
                header.address >= $0.address && header.address - $0.address < $0.fileSize
            })
        else { return nil }
        let skipped = header.address - segment.address
        let (offset, overflow) = segment.offset.addingReportingOverflow(skipped)
        let length = segment.fileSize - skipped
        guard !overflow, offset == header.offset, length <= maxRemoteBytes, offset <= 1 << 30 else { return nil }
        // e_shoff, e_shnum, e_shstrndx (elf(5)).
        for position in [40..<48, 60..<62, 62..<64] { for index in position { head[index] = 0 } }
        guard let image = reserve(Int(offset + length)) else { return nil }
        image.copyBytes(from: head.prefix(image.count))
        var done: UInt64 = 0
        while done < length {
            let count = Int(min(length - done, 64 << 10))
            guard let bytes = memory(bias &+ header.address &+ done, count), bytes.count == count else {
                munmap(image.baseAddress, image.count)
                return nil
            }
            UnsafeMutableRawBufferPointer(rebasing: image[Int(offset + done)...]).copyBytes(from: bytes)
            done += UInt64(count)
        }
        return image
    }
}
