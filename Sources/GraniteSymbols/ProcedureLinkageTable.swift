// Defines the names of PLT stubs, which no symbol table has: `puts@plt`, as objdump and GDB make them up. A crash within one means that
// the address it jumps to was overwritten.

import CElfutils
import Glibc

/// The stubs of one ELF object (x86-64 psABI, section 5.2). Relocations are read when an address in a stub is first asked for.
final class ProcedureLinkageTable {
    private struct Section {
        var address: UInt64
        var bytes: UnsafeRawBufferPointer
        var stubBytes: Int
        var isLazy: Bool
    }

    private let object: ObjectFile
    private var sections: [Section] = []
    /// Section of the dynamic symbols' names.
    private var strings = 0
    /// Name offsets by the slot of the global offset table that a relocation fills.
    private var nameOfSlot: [UInt64: UInt32] = [:]
    /// Name offsets of `.rela.plt`, by index: what a lazy stub pushes.
    private var nameOfIndex: [UInt32] = []
    private var hasNames = false

    /// Of the object. Sections of a hostile one may overlap, so that a limit for each would bound nothing.
    private static let maxRelocations = 1 << 20
    private static let maxSections = 16

    init(_ object: ObjectFile) {
        self.object = object
        _ = object.section { section in
            let isCode = section.header.sh_flags & UInt64(SHF_EXECINSTR) != 0
            guard sections.count < Self.maxSections else { return true }
            guard isCode, [".plt", ".plt.sec", ".plt.got"].contains(section.name), let bytes = Self.content(section)
            else { return false }
            sections.append(
                Section(
                    address: section.header.sh_addr, bytes: bytes, stubBytes: section.header.sh_entsize == 8 ? 8 : 16,
                    isLazy: section.name == ".plt"))
            return false
        }
    }

    private func readNames() {
        hasNames = true
        var symbols: UnsafeRawBufferPointer?
        var relocations: [(UnsafeRawBufferPointer, isPLT: Bool)] = []
        _ = object.section { section in
            if section.header.sh_type == UInt32(SHT_DYNSYM) {
                guard symbols == nil else { return false }
                symbols = Self.content(section)
                strings = Int(section.header.sh_link)
            } else if section.header.sh_type == UInt32(SHT_RELA), relocations.count < Self.maxSections {
                let isPLT = section.name == ".rela.plt"
                guard !isPLT || !relocations.contains(where: \.isPLT), let bytes = Self.content(section) else {
                    return false
                }
                relocations.append((bytes, isPLT))
            }
            return false
        }
        guard let symbols else { return }
        var budget = Self.maxRelocations
        for (bytes, isPLT) in relocations { read(bytes, isPLT: isPLT, symbols, &budget) }
    }

    private static func content(_ section: ObjectFile.Section) -> UnsafeRawBufferPointer? {
        guard section.hasContent, let data = elf_getdata(section.handle, nil), let base = data.pointee.d_buf else {
            return nil
        }
        return UnsafeRawBufferPointer(start: base, count: data.pointee.d_size)
    }

    private func read(
        _ bytes: UnsafeRawBufferPointer, isPLT: Bool, _ symbols: UnsafeRawBufferPointer, _ budget: inout Int
    ) {
        let stride = MemoryLayout<Elf64_Rela>.stride
        let count = min(bytes.count / stride, budget)
        budget -= count
        for index in 0..<count {
            let relocation = bytes.loadUnaligned(fromByteOffset: index * stride, as: Elf64_Rela.self)
            let type = UInt32(truncatingIfNeeded: relocation.r_info)
            let symbol = Int(relocation.r_info >> 32)
            var name: UInt32 = 0
            if symbol < symbols.count / MemoryLayout<Elf64_Sym>.stride {
                name =
                    symbols.loadUnaligned(fromByteOffset: symbol * MemoryLayout<Elf64_Sym>.stride, as: Elf64_Sym.self)
                    .st_name
            }
            // R_X86_64_GLOB_DAT and R_X86_64_JUMP_SLOT.
            if type == 6 || type == 7, name != 0 { nameOfSlot[relocation.r_offset] = name }
            if isPLT { nameOfIndex.append(name) }
        }
    }

    /// `puts@plt`; nil outside of the stubs, and for those of functions without a name.
    func name(at address: UInt64) -> String? {
        for section in sections
        where address >= section.address && address &- section.address < UInt64(section.bytes.count) {
            if !hasNames { readNames() }
            let start = Int(address &- section.address) / section.stubBytes * section.stubBytes
            guard start + section.stubBytes <= section.bytes.count else { return nil }
            let stub = UnsafeRawBufferPointer(rebasing: section.bytes[start..<start + section.stubBytes])
            let name =
                slot(of: stub, at: section.address &+ UInt64(start)).flatMap { nameOfSlot[$0] }
                ?? (section.isLazy ? pushed(by: stub) : nil)
            guard let name, let text = elf_strptr(object.elf, strings, Int(name)), text.pointee != 0 else { return nil }
            return String(boundedCString: text) + "@plt"
        }
        return nil
    }

    /// The slot that `jmp *disp32(%rip)` (ff 25, perhaps after endbr64 and a bnd prefix) jumps through.
    private func slot(of stub: UnsafeRawBufferPointer, at address: UInt64) -> UInt64? {
        for index in stub.indices.dropLast(5) where stub[index] == 0xff && stub[index + 1] == 0x25 {
            let distance = Int32(littleEndian: stub.loadUnaligned(fromByteOffset: index + 2, as: Int32.self))
            return address &+ UInt64(index + 6) &+ UInt64(bitPattern: Int64(distance))
        }
        return nil
    }

    /// Where `.plt.sec` does the jump, `.plt` holds `push $index` (68) and a jump to the resolver.
    private func pushed(by stub: UnsafeRawBufferPointer) -> UInt32? {
        for index in stub.indices.dropLast(4) where stub[index] == 0x68 {
            let number = stub.loadUnaligned(fromByteOffset: index + 1, as: UInt32.self)
            return Int(number) < nameOfIndex.count && nameOfIndex[Int(number)] != 0 ? nameOfIndex[Int(number)] : nil
        }
        return nil
    }
}
