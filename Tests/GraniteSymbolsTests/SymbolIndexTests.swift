// The index on disk: the same answers as the debug information itself, and no harm from a damaged one.

import Foundation
import TestSupport
import Testing

@testable import GraniteSymbols

@Suite(.timeLimit(.minutes(10))) struct SymbolIndexTests {
    /// An index folder with the index of one module.
    private struct Indexed {
        let directory: TemporaryDirectory
        let folder: SymbolIndexFolder
        let module: ModuleImage
        let file: URL

        init(_ path: String) throws {
            directory = try TemporaryDirectory()
            folder = SymbolIndexFolder(path: directory.file("indexes").path)
            module = Fixture.module(path, buildID: ELFImage.buildID(path: path))
            try #require(folder.makeIndex(of: module, options: .testing))
            file = directory.file("indexes/\(BuildID.text(module.buildID ?? [])).index")
        }

        var symbolizer: Symbolizer {
            var options = Symbolizer.Options.testing
            options.indexFolder = folder
            return Symbolizer(options: options)
        }

        func differences(_ addresses: [UInt64]) -> [String] {
            let (direct, indexed) = (Symbolizer(options: .testing), symbolizer)
            var differences: [String] = []
            for address in addresses {
                let (first, second) = [direct, indexed].map {
                    $0.symbolize(address: Fixture.bias + address, isReturnAddress: false, in: module)
                }.pair
                if first != second {
                    differences.append(
                        "0x\(String(address, radix: 16)): \(first.map(\.summary)) != \(second.map(\.summary))")
                }
            }
            #expect(indexed.takeUnindexed() == [])
            return differences
        }
    }

    @Test(arguments: [Fixtures.clang, Fixtures.gcc, Fixtures.dwarf4WithID, Fixtures.cplus, Fixtures.swift])
    func answersAsTheDebugInformationDoesAtEveryByte(_ fixture: Task<Fixture, any Error>) async throws {
        let fixture = try await fixture.value
        let indexed = try Indexed(fixture.url.path)
        let differences = indexed.differences(Fixture.code(fixture.url.path))
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n"))")
    }

    @Test(.enabled(if: Tool.exists("rustc"))) func answersForRustAlike() async throws {
        let fixture = try await Fixtures.rust.value
        let differences = try Indexed(fixture.url.path).differences(Fixture.code(fixture.url.path, step: 7))
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n"))")
    }

    @Test(.enabled(if: Tool.libpython != nil)) func answersForLibpythonAlike() throws {
        let path = try #require(Tool.libpython)
        let differences = try Indexed(path).differences(Fixture.code(path, step: 257))
        #expect(differences.isEmpty, "\(differences.count): \(differences.prefix(5).joined(separator: "\n"))")
    }

    /// The object is gone, its debug information with it: only the index can answer.
    @Test func answersWithoutAnyOtherFile() async throws {
        let fixture = try await Fixtures.gcc.value
        let directory = try TemporaryDirectory()
        let copy = directory.file("program")
        try FileManager.default.copyItem(at: fixture.url, to: copy)
        let indexed = try Indexed(copy.path)
        let address = try #require(
            Fixture.code(copy.path).first {
                indexed.symbolizer.symbolize(
                    address: Fixture.bias + $0, isReturnAddress: false, in: indexed.module
                ).first?.symbol == "inner"
            })
        try FileManager.default.removeItem(at: copy)
        let frames = indexed.symbolizer.symbolize(
            address: Fixture.bias + address, isReturnAddress: false, in: indexed.module)
        #expect(
            frames.map(\.summary) == [
                "inner chain.c:2:12 inlined C", "middle chain.c:5:12 inlined C", "outer chain.c:8:12 C",
            ])
        #expect(indexed.symbolizer.debugStatus(of: indexed.module) == "found")
    }

    @Test func namesTheObjectsThatLackOne() async throws {
        let fixture = try await Fixtures.gcc.value
        let directory = try TemporaryDirectory()
        var options = Symbolizer.Options.testing
        options.indexFolder = SymbolIndexFolder(path: directory.file("indexes").path)
        let symbolizer = Symbolizer(options: options)
        _ = symbolizer.debugStatus(of: fixture.module)
        #expect(symbolizer.takeUnindexed() == [fixture.module])
        #expect(symbolizer.takeUnindexed() == [])
    }

    @Test func makesNoneOfDebugInformationThatIsNotAllThere() async throws {
        let fixture = try await Fixture.compile(
            Sources.c, named: "chain.c", by: "gcc", ["-O2", "-g", "-gsplit-dwarf", "-Wl,--build-id"])
        for file in try FileManager.default.contentsOfDirectory(atPath: fixture.directory.url.path)
        where file.hasSuffix(".dwo") {
            try FileManager.default.removeItem(at: fixture.directory.file(file))
        }
        let folder = SymbolIndexFolder(path: fixture.directory.file("indexes").path)
        #expect(!folder.makeIndex(of: fixture.module, options: .testing))
    }

    @Test func makesNoneThatIsLargerThanAllowed() async throws {
        let fixture = try await Fixtures.gcc.value
        let module = Fixture.module(fixture.url.path, buildID: ELFImage.buildID(path: fixture.url.path))
        func make(_ maxBytes: Int) -> [UInt8]? {
            Symbolizer(options: .testing).symbols(of: module).makeIndex(maxBytes: maxBytes)
        }
        let whole = try #require(make(1 << 20))
        #expect(make(whole.count) == whole)
        for size in [whole.count - 1, whole.count / 2, SymbolIndex.headerBytes, 0] { #expect(make(size) == nil) }
    }

    /// The collector died of it, was started again, and died of it.
    @Test func leavesABuildAloneThatEndedTheProcessBefore() async throws {
        let indexed = try Indexed(try await Fixtures.gcc.value.url.path)
        let mark = indexed.directory.file("indexes/\(BuildID.text(indexed.module.buildID ?? [])).v1.tried")
        #expect(!FileManager.default.fileExists(atPath: mark.path))
        try Data().write(to: mark)
        #expect(!indexed.folder.makeIndex(of: indexed.module, options: .testing))
        #expect(FileManager.default.fileExists(atPath: mark.path))
        try FileManager.default.setAttributes([.modificationDate: Date() - 100_000], ofItemAtPath: mark.path)
        #expect(indexed.folder.makeIndex(of: indexed.module, options: .testing))
        #expect(!FileManager.default.fileExists(atPath: mark.path))
    }

    @Test func endsWithEveryTruncatedIndex() async throws {
        let indexed = try Indexed(try await Fixtures.gcc.value.url.path)
        let bytes = [UInt8](try Data(contentsOf: indexed.file))
        for count in 0..<bytes.count {
            #expect(Self.index(Array(bytes[..<count]), indexed.module) == nil)
        }
        #expect(Self.index(bytes, indexed.module) != nil)
        #expect(Self.index(bytes + [0], indexed.module) == nil)
    }

    /// With the checksum made right again: a forger can do that.
    @Test(arguments: [true, false]) func endsWithRandomlyDamagedIndexes(_ isForged: Bool) async throws {
        let indexed = try Indexed(try await Fixtures.cplus.value.url.path)
        let bytes = [UInt8](try Data(contentsOf: indexed.file))
        let addresses = Fixture.code(indexed.module.path, step: 3)
        var believed = 0
        for seed in 0..<3000 {
            var random = SplitMix(state: UInt64(seed))
            var damaged = bytes
            for _ in 0..<(1 << (seed % 6)) {
                let low = seed % 2 == 0 ? 0 : SymbolIndex.headerBytes
                let place = low + Int(random.next() % UInt64(bytes.count - low))
                damaged[place] = seed % 3 == 0 ? 0xff : UInt8(truncatingIfNeeded: random.next())
            }
            if isForged { Self.sign(&damaged) }
            guard let index = Self.index(damaged, indexed.module) else { continue }
            if damaged != bytes { believed += 1 }
            for address in addresses {
                #expect(index.answer(at: address).functions.count <= 128)
                _ = index.name(at: address)
            }
        }
        #expect(isForged ? believed > 500 : believed == 0)
    }

    @Test func makesItAnewWhereAnOldOneIsDamaged() async throws {
        let indexed = try Indexed(try await Fixtures.gcc.value.url.path)
        let whole = try Data(contentsOf: indexed.file)
        try whole.prefix(100).write(to: indexed.file)
        let symbolizer = indexed.symbolizer
        #expect(symbolizer.debugStatus(of: indexed.module) == "found")
        #expect(symbolizer.takeUnindexed() == [indexed.module])
        #expect(indexed.folder.makeIndex(of: indexed.module, options: .testing))
        #expect(try Data(contentsOf: indexed.file) == whole)
    }

    @Test func believesNoFolderThatOthersMayWriteInto() async throws {
        let indexed = try Indexed(try await Fixtures.gcc.value.url.path)
        #expect(indexed.folder.index(of: indexed.module.buildID ?? []) != nil)
        chmod(indexed.folder.path, 0o777)
        #expect(indexed.folder.index(of: indexed.module.buildID ?? []) == nil)
        #expect(!indexed.folder.store([1], [1, 2]))
    }

    @Test func throwsAwayWhatWasNotUsedForLongest() throws {
        let directory = try TemporaryDirectory()
        let folder = SymbolIndexFolder(path: directory.file("indexes").path, maxBytes: 250)
        let names = { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
        for (number, seconds) in [(UInt8(1), 3000), (2, 1000), (3, 2000)] {
            #expect(folder.store([UInt8](repeating: 0, count: 100), [number, number]))
            let file = "\(folder.path)/\(BuildID.text([number, number])).index"
            try FileManager.default.setAttributes([.modificationDate: Date() - Double(seconds)], ofItemAtPath: file)
        }
        #expect(try names() == ["0202.index", "0303.index"])
        #expect(folder.store([UInt8](repeating: 0, count: 100), [4, 4]))
        #expect(try names() == ["0202.index", "0404.index"])
        #expect(!folder.store([UInt8](repeating: 0, count: 300), [5, 5]))
    }

    private static func index(_ bytes: [UInt8], _ module: ModuleImage) -> SymbolIndex? {
        // Of exactly this size, so that a read beyond it can be noticed by a tool that watches memory.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        copy.copyBytes(from: bytes)
        return SymbolIndex(bytes: UnsafeRawBufferPointer(copy), buildID: module.buildID ?? []) { copy.deallocate() }
    }

    private static func sign(_ bytes: inout [UInt8]) {
        let sum = bytes.withUnsafeBytes {
            SymbolIndexHeader.checksum(UnsafeRawBufferPointer(rebasing: $0.dropFirst(24)))
        }
        withUnsafeBytes(of: sum.littleEndian) { for (index, byte) in $0.enumerated() { bytes[16 + index] = byte } }
    }
}

extension [[SymbolizedFrame]] {
    fileprivate var pair: ([SymbolizedFrame], [SymbolizedFrame]) { (self[0], self[1]) }
}
