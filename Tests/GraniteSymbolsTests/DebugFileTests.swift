// Debug information that was split off: found by build-id or link, refused when it is another build's.

import Foundation
import TestSupport
import Testing

@testable import GraniteSymbols

@Suite(.timeLimit(.minutes(5)), .enabled(if: Tool.exists("objcopy") && Tool.exists("strip"))) struct DebugFileTests {
    /// A stripped copy of the C fixture and its debug file, in a folder of their own.
    private struct Split {
        let directory: TemporaryDirectory
        let stripped: URL
        let debug: URL
        let buildID: [UInt8]

        init(options: [String] = ["--strip-all"], link: Bool = false) async throws {
            let fixture = try await Fixtures.gcc.value
            directory = try TemporaryDirectory()
            stripped = directory.file("program")
            debug = directory.file("program.debug")
            buildID = try #require(ELFImage.buildID(path: fixture.url.path))
            _ = try await Tool.run("objcopy", ["--only-keep-debug", fixture.url.path, debug.path])
            _ = try await Tool.run("strip", options + [fixture.url.path, "-o", stripped.path])
            if link { _ = try await Tool.run("objcopy", ["--add-gnu-debuglink=\(debug.path)", stripped.path]) }
        }

        var module: ModuleImage { Fixture.module(stripped.path, buildID: buildID) }

        /// Moves a file into a store's build-id tree, and returns the store.
        func store(_ file: URL, suffix: String = ".debug") throws -> String {
            let hex = buildID.map { String(format: "%02x", $0) }
            let folder = directory.file("store/.build-id/\(hex[0])")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try FileManager.default.moveItem(
                at: file, to: folder.appendingPathComponent(hex.dropFirst().joined() + suffix))
            return directory.file("store").path
        }

        /// What the chain test expects, or all there is at that place.
        func chain(_ symbolizer: Symbolizer, in module: ModuleImage? = nil) async throws -> [String] {
            let whole = try await Fixtures.gcc.value
            let reference = Symbolizer(options: .testing)
            let address = try #require(
                Fixture.code(whole.url.path).first { address in
                    reference.symbolize(address: Fixture.bias + address, isReturnAddress: false, in: whole.module)
                        .first?.symbol == "inner"
                })
            return symbolizer.symbolize(
                address: Fixture.bias + address, isReturnAddress: false, in: module ?? self.module
            ).map(\.summary)
        }

        static let whole = ["inner chain.c:2:12 inlined C", "middle chain.c:5:12 inlined C", "outer chain.c:8:12 C"]
    }

    @Test func findsADebugFileInAStoreByBuildID() async throws {
        let split = try await Split()
        let symbolizer = Symbolizer(options: .init(symbolStores: [try split.store(split.debug)], systemDirectories: []))
        #expect(symbolizer.debugStatus(of: split.module) == "found")
        #expect(try await split.chain(symbolizer) == Split.whole)
        #expect(symbolizer.problems == [])
    }

    @Test func findsADebugFileBesideTheProgramByItsLink() async throws {
        let split = try await Split(link: true)
        let symbolizer = Symbolizer(options: .testing)
        #expect(symbolizer.debugStatus(of: split.module) == "found")
        #expect(try await split.chain(symbolizer) == Split.whole)
    }

    @Test func findsALinkedFileBelowASystemFolder() async throws {
        let split = try await Split(link: true)
        let mirror = split.directory.file("mirror")
        let real = try #require(realpath(split.directory.url.path, nil))
        defer { free(real) }
        let folder = URL(fileURLWithPath: mirror.path + String(cString: real))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try FileManager.default.moveItem(at: split.debug, to: folder.appendingPathComponent("program.debug"))
        let symbolizer = Symbolizer(options: .init(symbolStores: [], systemDirectories: [mirror.path]))
        #expect(try await split.chain(symbolizer) == Split.whole)
    }

    @Test func checksALinkedFileByChecksumWhereThereIsNoBuildID() async throws {
        let split = try await Split(options: ["--strip-all", "--remove-section=.note.gnu.build-id"], link: true)
        let module = Fixture.module(split.stripped.path)
        #expect(Symbolizer(options: .testing).debugStatus(of: module) == "found")
        // When: one byte more.
        let handle = try FileHandle(forWritingTo: split.debug)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([0]))
        try handle.close()
        #expect(Symbolizer(options: .testing).debugStatus(of: module) == "missing")
    }

    @Test func ignoresALinkedFileOfAnotherBuild() async throws {
        let split = try await Split(link: true)
        let other = try await Fixtures.clang.value
        try FileManager.default.removeItem(at: split.debug)
        try FileManager.default.copyItem(at: other.url, to: split.debug)
        let symbolizer = Symbolizer(options: .testing)
        #expect(symbolizer.debugStatus(of: split.module) == "missing")
        #expect(try await split.chain(symbolizer) == [])
    }

    @Test func givesNoStrangersNameInAStrippedFile() async throws {
        let split = try await Split()
        let symbolizer = Symbolizer(options: .testing)
        #expect(try await split.chain(symbolizer) == [])
        #expect(symbolizer.debugStatus(of: split.module) == "missing")
    }

    @Test func givesSymbolTableNamesWhereOnlyDebugSectionsWereStripped() async throws {
        let split = try await Split(options: ["--strip-debug"])
        #expect(try await split.chain(Symbolizer(options: .testing)) == ["outer C"])
    }

    @Test func leavesDebugFilesAloneIfToldSo() async throws {
        let split = try await Split(options: ["--strip-debug"])
        var options = Symbolizer.Options(symbolStores: [try split.store(split.debug)], systemDirectories: [])
        options.opensSeparateDebugFiles = false
        let symbolizer = Symbolizer(options: options)
        #expect(symbolizer.debugStatus(of: split.module) == "found")
        #expect(try await split.chain(symbolizer) == ["outer C"])
    }

    @Test func refusesAFileThatWasReplacedSinceTheProcessMappedIt() async throws {
        let fixture = try await Fixtures.gcc.value
        var module = fixture.module
        module.buildID = [UInt8](repeating: 7, count: 20)
        let symbolizer = Symbolizer(options: .testing)
        let frames = symbolizer.symbolize(address: module.start + 0x1140, isReturnAddress: false, in: module)
        #expect(frames == [])
        #expect(symbolizer.debugStatus(of: module) == "replaced")
        #expect(
            symbolizer.takeProblems() == [
                "\(module.path) was replaced since the process started: its build-id differs, so its symbols weren't used."
            ])
        #expect(symbolizer.problems == [])
    }

    @Test func takesTheStoredExecutableOfAReplacedFile() async throws {
        let split = try await Split()
        let whole = try await Fixtures.gcc.value
        let copy = split.directory.file("copy")
        try FileManager.default.copyItem(at: whole.url, to: copy)
        let symbolizer = Symbolizer(
            options: .init(symbolStores: [try split.store(copy, suffix: "")], systemDirectories: []))
        let module = Fixture.module(try await Fixtures.clang.value.url.path, buildID: split.buildID)
        #expect(try await split.chain(symbolizer, in: module) == Split.whole)
        #expect(symbolizer.debugStatus(of: module) == "found")
        #expect(symbolizer.problems == [])
    }

    @Test func believesADeletedFileOnlyByBuildID() async throws {
        let fixture = try await Fixtures.gcc.value
        let path = fixture.url.path + " (deleted)"
        #expect(
            Symbolizer(options: .testing).debugStatus(of: Fixture.module(path, buildID: fixture.module.buildID))
                == "found")
        #expect(Symbolizer(options: .testing).debugStatus(of: Fixture.module(path)) == "replaced")
    }

    @Test(arguments: [
        ("/nonexistent/library.so", "missing"), ("[heap]", "none"), ("", "none"), ("/dev/zero", "none"),
        ("/etc/passwd", "none"),
        ("/usr", "none"),
    ])
    func saysWhatItKnowsOfPathsThatAreNoObjects(_ path: String, _ status: String) {
        let symbolizer = Symbolizer(options: .testing)
        #expect(symbolizer.debugStatus(of: Fixture.module(path)) == status)
        #expect(
            symbolizer.symbolize(address: Fixture.bias + 64, isReturnAddress: false, in: Fixture.module(path)) == [])
    }

    @Test func neverWaitsForAPipe() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("pipe").path
        try #require(mkfifo(path, 0o600) == 0)
        #expect(Symbolizer(options: .testing).debugStatus(of: Fixture.module(path)) == "none")
        #expect(ELFImage.buildID(path: path) == nil)
    }

    @Test func closesTheLeastRecentlyUsedFiles() async throws {
        let symbolizer = Symbolizer(options: .init(symbolStores: [], systemDirectories: [], maxModules: 2))
        let open = {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
            }
        }
        let fixture = try await Fixtures.gcc.value
        let copies = try (0..<5).map { index in
            let url = fixture.directory.file("copy\(index)-\(UUID().uuidString)")
            try FileManager.default.copyItem(at: fixture.url, to: url)
            return url.resolvingSymlinksInPath().path
        }
        for path in copies { #expect(symbolizer.debugStatus(of: Fixture.module(path)) == "found") }
        let now = try open()
        #expect(copies.filter { now.contains($0) } == Array(copies.suffix(2)))
    }

    @Test(.enabled(if: Tool.exists("dwz")), arguments: [true, false])
    func followsDwzIntoTheCommonFileOfSeveral(_ inStore: Bool) async throws {
        let fixture = try await Fixtures.dwarf4.value
        let directory = try TemporaryDirectory()
        let copies = ["one", "two"].map { directory.file($0) }
        for copy in copies { try FileManager.default.copyItem(at: fixture.url, to: copy) }
        let common = directory.file("common")
        _ = try await Tool.run("dwz", ["-m", common.path] + copies.map(\.path))
        let sections = try await Tool.run("readelf", ["-SW", copies[0].path])
        try #require(sections.contains(".gnu_debugaltlink"))
        var stores: [String] = []
        if inStore {
            let notes = try await Tool.run("readelf", ["-n", common.path])
            let hex = try #require(notes.firstMatch(of: /Build ID: ([0-9a-f]+)/)?.1)
            let folder = directory.file("store/.build-id/\(hex.prefix(2))")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try FileManager.default.moveItem(at: common, to: folder.appendingPathComponent("\(hex.dropFirst(2)).debug"))
            stores = [directory.file("store").path]
        }
        let frames = try Fixture(directory: directory, url: copies[0]).firstFrames(
            with: Symbolizer(options: .init(symbolStores: stores, systemDirectories: []))
        ) { $0.first?.symbol == "inner" }
        #expect(frames.map(\.summary) == Split.whole)
        // Without the common file names may be lost, but nothing else.
        if !inStore { try FileManager.default.removeItem(at: common) }
        let without = Symbolizer(options: .testing)
        let lost = Fixture.code(copies[0].path).map {
            without.symbolize(address: Fixture.bias + $0, isReturnAddress: false, in: Fixture.module(copies[0].path))
        }
        #expect(lost.contains { $0.last?.symbol == "outer" })
    }

    /// libdw opens what the link names without a look at its build-id, and would give the names of other functions.
    @Test(.enabled(if: Tool.exists("dwz"))) func takesNoCommonFileOfAnotherBuild() async throws {
        let fixture = try await Fixtures.dwarf4.value
        let directory = try TemporaryDirectory()
        let copies = ["one", "two"].map { directory.file($0) }
        for copy in copies { try FileManager.default.copyItem(at: fixture.url, to: copy) }
        let common = directory.file("common")
        _ = try await Tool.run("dwz", ["-m", common.path] + copies.map(\.path))
        var bytes = [UInt8](try Data(contentsOf: common))
        let buildID = try #require(try ObjectFile(path: common.path, maxBytes: .max).buildID)
        let place = try #require(bytes.indices.first { bytes[$0...].starts(with: buildID) })
        bytes[place] ^= 1
        try Data(bytes).write(to: common)
        let symbolizer = Symbolizer(options: .testing)
        let frames = Fixture.code(copies[0].path).flatMap {
            symbolizer.symbolize(address: Fixture.bias + $0, isReturnAddress: false, in: Fixture.module(copies[0].path))
        }
        #expect(frames.contains { $0.symbol == "outer" })
        #expect(frames.allSatisfy { $0.file == nil })
    }

    @Test func readsCompressedDebugSections() async throws {
        let fixture = try await Fixture.compile(Sources.c, named: "chain.c", by: "gcc", ["-O2", "-g", "-gz"])
        let frames = try fixture.firstFrames { $0.first?.symbol == "inner" }
        #expect(frames.map(\.summary) == Split.whole)
    }
}
