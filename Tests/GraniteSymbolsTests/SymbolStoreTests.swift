// The symbol store: what is taken under which name, what is refused, what is found to be damaged, and what goes.

import Foundation
import TestSupport
import Testing

@testable import GraniteSymbols

@Suite(.timeLimit(.minutes(5)), .enabled(if: Tool.exists("objcopy") && Tool.exists("strip"))) struct SymbolStoreTests {
    let directory: TemporaryDirectory
    let store: SymbolStore

    init() throws {
        directory = try TemporaryDirectory()
        store = SymbolStore(directory: directory.file("deep/store").path)
    }

    private func strip(_ options: [String]) async throws -> String {
        let target = directory.file("stripped-" + UUID().uuidString).path
        _ = try await Tool.run("strip", options + [try await Fixtures.gcc.value.url.path, "-o", target])
        return target
    }

    @Test func takesAFileOnceUnderItsBuildID() async throws {
        let fixture = try await Fixtures.gcc.value
        let id = BuildID.text(try #require(fixture.module.buildID))
        let target = "\(store.directory)/.build-id/\(id.prefix(2))/\(id.dropFirst(2)).debug"
        #expect(try store.add(fixture.url.path) == .added(path: target, [.dwarf, .symtab, .code]))
        #expect(try store.add(fixture.url.path) == .known(path: target))
        #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == Data(contentsOf: fixture.url))
        let entries = store.entries()
        #expect(entries.map(\.path) == [target])
        #expect(entries.first?.origin == fixture.url.resolvingSymlinksInPath().path)
        #expect(store.verify(entries[0]) == [])
        // It is found by a symbolizer of a process whose file is gone.
        let symbolizer = Symbolizer(options: .init(symbolStores: [store.directory], systemDirectories: []))
        var module = fixture.module
        module.path = "/nonexistent/program"
        #expect(symbolizer.debugStatus(of: module) == "found")
        #expect(store.remove(entries[0]))
        #expect(store.entries() == [])
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.directory + "/.build-id") == [])
    }

    @Test(arguments: [(0o700, 0o600), (0o755, 0o644), (0o750, 0o640), (0o666, 0o644)])
    func opensAFileToNobodyWhoMayNotReadItAnyway(_ source: Int, _ stored: Int) async throws {
        let copy = directory.file("program")
        try FileManager.default.copyItem(at: try await Fixtures.gcc.value.url, to: copy)
        chmod(copy.path, mode_t(source))
        guard case .added(let path, _) = try store.add(copy.path) else { return #expect(Bool(false)) }
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == stored)
    }

    @Test func timesThatNoFileHasAreNoHarm() {
        let entries = [Int.min, -1, 0, .max].map {
            SymbolStore.Entry(path: "\($0)", buildID: [1], isDebugFile: true, bytes: 1, added: $0, origin: nil)
        }
        let removed = SymbolRetention(maxAgeSeconds: 250).removed(of: entries, now: 200)
        #expect(removed.map(\.added) == [Int.min])
    }

    @Test func takesMoreOfTheSameBuildInPlaceOfLess() async throws {
        let names = try await strip(["--strip-debug"])
        guard case .added(let path, [.symtab, .code]) = try store.add(names) else { return #expect(Bool(false)) }
        #expect(!path.hasSuffix(".debug"))
        let split = directory.file("program.debug").path
        let whole = try await Fixtures.gcc.value.url.path
        _ = try await Tool.run("objcopy", ["--only-keep-debug", whole, split])
        guard case .added(let debug, [.dwarf, .symtab]) = try store.add(split) else { return #expect(Bool(false)) }
        #expect(debug.hasSuffix(".debug"))
        #expect(store.entries().map(\.isDebugFile) == [false, true])
        #expect(try store.add(names) == .known(path: path))
    }

    @Test func refusesWhatCannotBeFoundOrHelpsNobody() async throws {
        let without = try await Fixture.compile(Sources.c, named: "chain.c", by: "gcc", ["-g", "-Wl,--build-id=none"])
        let text = try directory.write("no ELF", to: "text").path
        for (path, code) in [
            (without.url.path, SymbolsError.Code.noBuildID), (try await strip(["--strip-all"]), .noSymbols),
            (text, .notELF),
            (directory.url.path, .notRegularFile), ("/nonexistent", .cannotOpen),
        ] {
            #expect(throws: SymbolsError.self) { try store.add(path) }
            do { _ = try store.add(path) } catch { #expect(error.code == code) }
        }
        #expect(
            SymbolsError(code: .noBuildID, path: "x").description
                == "x has no build-id, by which alone symbols are found. Link it with -Wl,--build-id (rustc: -C link-arg=-Wl,--build-id)."
        )
    }

    @Test func namesFilesThatAreNotWhatTheirNamesSay() async throws {
        _ = try store.add(try await Fixtures.gcc.value.url.path)
        let entry = try #require(store.entries().first)
        let other = try await Fixtures.clang.value
        try FileManager.default.removeItem(atPath: entry.path)
        try FileManager.default.copyItem(atPath: other.url.path, toPath: entry.path)
        let id = BuildID.text(try #require(other.module.buildID))
        #expect(store.verify(entry) == ["\(entry.path) has build-id \(id): it is not the file that its name says."])
        try Data("garbage".utf8).write(to: URL(fileURLWithPath: entry.path))
        #expect(store.verify(entry) == ["\(entry.path) is no 64-bit ELF file."])
    }

    @Test func noticesDamagedDebugInformation() async throws {
        let fixture = try await Fixtures.gcc.value
        _ = try store.add(fixture.url.path)
        let entry = try #require(store.entries().first)
        let sections = try await Tool.run("readelf", ["-SW", fixture.url.path])
        let line = try #require(sections.split(separator: "\n").first { $0.contains(" .debug_abbrev ") })
        let fields = line.replacingOccurrences(of: "[ ", with: "[").split(separator: " ")
        let (offset, size) = (try #require(Int(fields[4], radix: 16)), try #require(Int(fields[5], radix: 16)))
        var bytes = [UInt8](try Data(contentsOf: fixture.url))
        for index in offset..<offset + size { bytes[index] = 0xff }
        try Data(bytes).write(to: URL(fileURLWithPath: entry.path))
        #expect(store.verify(entry).count == 1)
    }

    @Test func walksFoldersButNoLinks() throws {
        let root = directory.file("tree")
        try directory.write("x", to: "tree/a/b/text")
        try FileManager.default.copyItem(
            atPath: BuildProducts.executable("CrashProbe").path, toPath: root.path + "/a/program")
        try FileManager.default.createSymbolicLink(atPath: root.path + "/loop", withDestinationPath: "..")
        try FileManager.default.createSymbolicLink(atPath: root.path + "/a/link", withDestinationPath: "program")
        mkfifo(root.path + "/pipe", 0o600)
        var found: [String] = []
        #expect(SymbolFileWalk.forEachObject(below: root.path) { found.append($0) })
        #expect(found == [root.path + "/a/program"])
    }

    @Test(
        arguments: [
            (SymbolRetention(maxAgeSeconds: 250), ["1"]), (SymbolRetention(maxTotalBytes: 20), ["1", "2"]),
            (SymbolRetention(used: [[2]]), ["1", "3", "4"]), (SymbolRetention(maxTotalBytes: 0), ["1", "2", "3", "4"]),
            (SymbolRetention(), []), (SymbolRetention(maxTotalBytes: .max), []),
        ] as [(SymbolRetention, [String])])
    func throwsAwayTheOldestFirst(_ rule: SymbolRetention, _ expected: [String]) {
        let entries = (1...4).map { number in
            SymbolStore.Entry(
                path: "\(number)", buildID: [UInt8(number)], isDebugFile: true, bytes: 10, added: number * 100,
                origin: nil)
        }
        #expect(rule.removed(of: entries.shuffled(), now: 400).map(\.path) == expected)
    }
}
