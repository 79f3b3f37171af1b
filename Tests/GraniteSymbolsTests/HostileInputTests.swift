// Damaged files: the symbolizer must end, in bounded time, with or without names.

import Foundation
import TestSupport
import Testing

@testable import GraniteSymbols

@Suite(.timeLimit(.minutes(10))) struct HostileInputTests {
    /// Asks for some addresses of an image in memory; returns how many functions were named.
    private func ask(_ bytes: [UInt8], addresses: [UInt64]) -> Int {
        let symbolizer = Symbolizer(options: .testing)
        var module = Fixture.module("/damaged")
        module.memory = bytes
        _ = symbolizer.debugStatus(of: module)
        return addresses.reduce(0) { count, address in
            count + symbolizer.symbolize(address: Fixture.bias &+ address, isReturnAddress: false, in: module).count
        }
    }

    private func sample(of fixture: Fixture) -> [UInt64] {
        let code = Fixture.code(fixture.url.path)
        return stride(from: 0, to: code.count, by: max(1, code.count / 24)).map { code[$0] }
    }

    @Test func objectsAreClosedWhenTheyTakeTooMuchAddressSpace() {
        let paths = ["CrashProbe", "granite-crash"].map { BuildProducts.executable($0).path }
        let roomy = Symbolizer(options: .init(symbolStores: []))
        let narrow = Symbolizer(options: .init(symbolStores: [], maxMappedBytes: 1))
        for path in paths {
            for symbolizer in [roomy, narrow] { _ = symbolizer.debugStatus(of: Fixture.module(path)) }
        }
        #expect(roomy.openModules == 2)
        #expect(narrow.openModules == 1)
    }

    /// 65,000 sections, all of the same million relocations.
    @Test func endsWhereRelocationsOverlap() throws {
        let size = (1 << 20) * 24
        var header = Elf64_Ehdr()
        withUnsafeMutableBytes(of: &header.e_ident) { $0.copyBytes(from: [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1]) }
        header.e_type = UInt16(ET_DYN)
        header.e_machine = UInt16(EM_X86_64)
        header.e_version = 1
        header.e_ehsize = 64
        header.e_phentsize = 56
        header.e_phnum = 1
        header.e_phoff = 64
        header.e_shentsize = 64
        header.e_shnum = 65_000
        header.e_shstrndx = 1
        header.e_shoff = UInt64(256 + size)
        var segment = Elf64_Phdr()
        segment.p_type = UInt32(PT_LOAD)
        segment.p_flags = 5
        segment.p_filesz = UInt64(size)
        segment.p_memsz = UInt64(size)
        func section(_ name: UInt32, _ type: Int32, _ flags: UInt64, _ offset: Int, _ size: Int) -> Elf64_Shdr {
            var section = Elf64_Shdr()
            section.sh_name = name
            section.sh_type = UInt32(type)
            section.sh_flags = flags
            section.sh_addr = UInt64(offset)
            section.sh_offset = UInt64(offset)
            section.sh_size = UInt64(size)
            section.sh_addralign = 8
            section.sh_entsize = [SHT_RELA, SHT_DYNSYM].contains(type) ? 24 : 0
            return section
        }
        let relocations = section(6, SHT_RELA, 0, 256, size)
        var sections = [
            Elf64_Shdr(), section(0, SHT_STRTAB, 0, 128, 32), section(1, SHT_PROGBITS, 6, 192, 32),
            section(0, SHT_DYNSYM, 0, 256, 48),
        ]
        sections += Array(repeating: relocations, count: 65_000 - sections.count)
        var bytes = [UInt8](repeating: 0, count: 256 + size)
        withUnsafeBytes(of: header) { bytes.replaceSubrange(0..<64, with: $0) }
        withUnsafeBytes(of: segment) { bytes.replaceSubrange(64..<120, with: $0) }
        bytes.replaceSubrange(128..<148, with: Array("\0.plt\0.rela.dyn\0\0\0\0".utf8))
        // jmp *0(%rip)
        bytes.replaceSubrange(192..<194, with: [0xff, 0x25])
        sections.withUnsafeBytes { bytes += $0 }
        let table = ProcedureLinkageTable(try ObjectFile(bytes: bytes, name: "hostile"))
        #expect(table.name(at: 192) == nil)
    }

    @Test(arguments: [Fixtures.clang, Fixtures.gcc]) func endsWithEveryTruncatedFile(
        _ fixture: Task<Fixture, any Error>
    ) async throws {
        let fixture = try await fixture.value
        let bytes = [UInt8](try Data(contentsOf: fixture.url))
        let addresses = sample(of: fixture)
        #expect(ask(bytes, addresses: addresses) > 3)
        for count in Array(0..<512) + Array(stride(from: 512, to: bytes.count, by: 37)) {
            _ = ask(Array(bytes[..<count]), addresses: addresses)
        }
        // From a file, libelf takes other paths.
        let directory = try TemporaryDirectory()
        let path = directory.file("short")
        for count in stride(from: 0, to: bytes.count, by: 211) {
            try Data(bytes[..<count]).write(to: path)
            let symbolizer = Symbolizer(options: .testing)
            _ = ELFImage.buildID(path: path.path)
            for address in addresses {
                _ = symbolizer.symbolize(
                    address: Fixture.bias &+ address, isReturnAddress: true, in: Fixture.module(path.path))
            }
        }
    }

    @Test(arguments: [Fixtures.clang, Fixtures.gcc, Fixtures.dwarf4, Fixtures.cplus, Fixtures.swift])
    func endsWithRandomlyDamagedFiles(_ fixture: Task<Fixture, any Error>) async throws {
        let fixture = try await fixture.value
        let bytes = [UInt8](try Data(contentsOf: fixture.url))
        let addresses = sample(of: fixture)
        var named = 0
        for seed in 0..<2000 {
            var random = SplitMix(state: UInt64(seed))
            var damaged = bytes
            for _ in 0..<(1 << (seed % 7)) {
                damaged[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            named += ask(damaged, addresses: addresses)
        }
        // Most damage leaves something to read: the loop did exercise the readers.
        #expect(named > 2000)
    }

    @Test func endsWithDamageInTheDebugSectionsAlone() async throws {
        let fixture = try await Fixtures.clang.value
        let bytes = [UInt8](try Data(contentsOf: fixture.url))
        let sections = try await Tool.run("readelf", ["-SW", fixture.url.path])
        let ranges = sections.split(separator: "\n").compactMap { line -> Range<Int>? in
            let fields = line.replacingOccurrences(of: "[ ", with: "[").split(separator: " ").map(String.init)
            guard fields.count > 6, fields[1].hasPrefix(".debug"), let offset = Int(fields[4], radix: 16),
                let size = Int(fields[5], radix: 16)
            else { return nil }
            return offset..<offset + size
        }
        try #require(ranges.count >= 4)
        let addresses = sample(of: fixture)
        for (index, range) in ranges.enumerated() {
            for seed in 0..<1000 {
                var random = SplitMix(state: UInt64(index * 100_000 + seed))
                var damaged = bytes
                for _ in 0..<(1 + seed % 4) {
                    damaged[range.lowerBound + Int(random.next() % UInt64(range.count))] =
                        seed % 3 == 0 ? 0xff : UInt8(truncatingIfNeeded: random.next())
                }
                _ = ask(damaged, addresses: addresses)
            }
        }
    }

    /// Each entry's sibling is its own first child: a walk that believes it visits 2^80 entries.
    @Test func endsWhereSiblingsFormADiamond() async throws {
        let symbolizer = Symbolizer(options: .testing)
        let fixture = try await Self.tree(levels: 80) { ".Lentry\($0 + 1)" }
        let module = fixture.module
        let names = Fixture.code(module.path).flatMap {
            symbolizer.symbolize(address: Fixture.bias + $0, isReturnAddress: false, in: module)
        }
        #expect(names.contains { $0.symbol == "main" })
        #expect(
            symbolizer.problems == ["\(module.path) has malformed debug information: some names or lines are missing."])
    }

    @Test func endsWhereSiblingsFormACircle() async throws {
        let symbolizer = Symbolizer(options: .testing)
        let fixture = try await Self.tree(levels: 4) { _ in ".Lentry1" }
        let module = fixture.module
        let names = Fixture.code(module.path).flatMap {
            symbolizer.symbolize(address: Fixture.bias + $0, isReturnAddress: false, in: module)
        }
        #expect(names.contains { $0.symbol == "main" })
        #expect(symbolizer.problems.count == 1)
    }

    @Test func endsWithBlocksNestedWithoutMeasure() async throws {
        let symbolizer = Symbolizer(options: .testing)
        let fixture = try await Self.tree(levels: 20_000) { _ in ".Lend" }
        let module = fixture.module
        _ = Fixture.code(module.path).map {
            symbolizer.symbolize(address: Fixture.bias + $0, isReturnAddress: false, in: module)
        }
        #expect(symbolizer.problems.count == 1)
    }

    /// A program whose unit holds lexical blocks, one within the other, each with a sibling reference as given (DWARF 4).
    private static func tree(levels: Int, sibling: (Int) -> String) async throws -> Fixture {
        let entries = (1...levels).map { ".Lentry\($0): .uleb128 2\n.long \(sibling($0)) - .Lunit\n" }.joined()
        let source = """
            .text
            .globl main
            .type main, @function
            main: xor %eax, %eax
            ret
            .Lafter: .size main, . - main
            .section .debug_abbrev
            .uleb128 1; .uleb128 0x11; .byte 1
            .uleb128 0x13; .uleb128 0x0b; .uleb128 0x11; .uleb128 0x01; .uleb128 0x12; .uleb128 0x06; .byte 0, 0
            .uleb128 2; .uleb128 0x0b; .byte 1
            .uleb128 0x01; .uleb128 0x13; .byte 0, 0
            .byte 0
            .section .debug_info
            .Lunit: .long .Lunit_end - .Lunit_start
            .Lunit_start: .value 4
            .long .debug_abbrev
            .byte 8
            .uleb128 1; .byte 12; .quad main; .long .Lafter - main
            \(entries)
            .Lentry\(levels + 1): .uleb128 2
            .long .Lend - .Lunit
            .byte 0
            .zero \(levels)
            .Lend: .byte 0
            .Lunit_end:
            """
        return try await Fixture.compile(source, named: "tree.s", by: "gcc", [])
    }
}

/// Sebastiano Vigna's splitmix64: the same numbers in each run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
