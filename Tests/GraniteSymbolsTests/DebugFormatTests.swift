// The forms in which distributions and build systems keep debug information apart or small.

import Foundation
import TestSupport
import Testing

@testable import GraniteSymbols

@Suite(.timeLimit(.minutes(5))) struct DebugFormatTests {
    private static let chain = [
        "inner chain.c:2:12 inlined C", "middle chain.c:5:12 inlined C", "outer chain.c:8:12 C",
    ]

    @Test(
        arguments: ["gcc", "clang"],
        [["-gdwarf-4"], ["-gdwarf-5"], ["-gdwarf-5", "-gz=zlib"]])
    func readsBothVersionsOfDwarfOfBothCompilers(_ compiler: String, _ options: [String]) async throws {
        let fixture = try await Fixture.compile(Sources.c, named: "chain.c", by: compiler, ["-O2"] + options)
        #expect(try fixture.firstFrames { $0.first?.symbol == "inner" }.map(\.summary) == Self.chain)
    }

    @Test(.enabled(if: Tool.exists("objcopy")), arguments: ["zlib", "zlib-gnu"])
    func readsSectionsThatObjcopyCompressed(_ format: String) async throws {
        let whole = try await Fixtures.gcc.value
        let directory = try TemporaryDirectory()
        let copy = directory.file("fixture")
        _ = try await Tool.run("objcopy", ["--compress-debug-sections=\(format)", whole.url.path, copy.path])
        let fixture = Fixture(directory: directory, url: copy)
        #expect(try fixture.firstFrames { $0.first?.symbol == "inner" }.map(\.summary) == Self.chain)
    }

    @Test(arguments: ["gcc", "clang"], ["-gdwarf-4", "-gdwarf-5"])
    func readsSplitDwarf(_ compiler: String, _ version: String) async throws {
        let fixture = try await Self.split(compiler, version)
        #expect(try fixture.firstFrames { $0.first?.symbol == "inner" }.map(\.summary) == Self.chain)
    }

    @Test func aMissingSplitFileCostsInlinesAlone() async throws {
        let fixture = try await Self.split("gcc", "-gdwarf-5")
        try Self.eachSplitFile(of: fixture) { try FileManager.default.removeItem(at: $0) }
        let frames = try fixture.firstFrames { $0.last?.symbol == "outer" && $0.last?.line == 2 }
        #expect(frames.map(\.summary) == ["outer chain.c:2:12 C"])
    }

    /// libdw would wait for a writer.
    @Test func aPipeInASplitFilesPlaceIsNotOpened() async throws {
        let fixture = try await Self.split("gcc", "-gdwarf-5")
        try Self.eachSplitFile(of: fixture) { file in
            try FileManager.default.removeItem(at: file)
            try #require(mkfifo(file.path, 0o600) == 0)
        }
        let frames = try fixture.firstFrames { $0.last?.symbol == "outer" && $0.last?.line == 2 }
        #expect(frames.count == 1)
    }

    private static func split(_ compiler: String, _ version: String) async throws -> Fixture {
        let directory = try TemporaryDirectory()
        let source = try directory.write(Sources.c, to: "chain.c")
        let (object, program) = (directory.file("chain.o").path, directory.file("fixture"))
        let options = ["-O2", "-g", version, "-gsplit-dwarf"]
        _ = try await Tool.run(compiler, options + ["-c", source.path, "-o", object])
        _ = try await Tool.run(compiler, [object, "-o", program.path])
        return Fixture(directory: directory, url: program)
    }

    private static func eachSplitFile(of fixture: Fixture, _ body: (URL) throws -> Void) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: fixture.directory.url.path)
        let files = names.filter { $0.hasSuffix(".dwo") }
        try #require(!files.isEmpty)
        for file in files { try body(fixture.directory.file(file)) }
    }

    @Test(.enabled(if: Tool.exists("xz") && Tool.exists("objcopy"))) func readsMiniDebugInfo() async throws {
        let (directory, program) = try await Self.withMiniDebugInfo()
        let fixture = Fixture(directory: directory, url: program)
        // A local function, which no dynamic symbol has.
        #expect(try fixture.firstFrames { $0.last?.symbol == "outer" }.map(\.summary) == ["outer C"])
        let object = try ObjectFile(path: program.path, maxBytes: .max)
        #expect(object.contents == [.miniDebugInfo, .code])
    }

    @Test(.enabled(if: Tool.exists("xz") && Tool.exists("objcopy"))) func endsWithDamagedMiniDebugInfo() async throws {
        let stream = try await Self.miniature()
        func decompressed(_ bytes: [UInt8]) -> [UInt8]? { bytes.withUnsafeBytes { MiniDebugInfo.decompressed($0) } }
        let whole = try #require(decompressed(stream))
        #expect(whole.starts(with: [0x7f, 0x45, 0x4c, 0x46]))
        for count in stride(from: 0, to: stream.count, by: 7) { #expect(decompressed(Array(stream[..<count])) == nil) }
        for seed in 0..<500 {
            var random = SplitMix(state: UInt64(seed))
            var damaged = stream
            damaged[Int(random.next() % UInt64(damaged.count))] ^= 1 << UInt8(seed % 8)
            let result = decompressed(damaged)
            #expect(result == nil || result == whole)
        }
    }

    /// 80 MB of zeros in some kilobytes.
    @Test(.enabled(if: Tool.exists("xz"))) func refusesMiniDebugInfoThatExpandsWithoutMeasure() async throws {
        let directory = try TemporaryDirectory()
        let file = directory.file("zeros")
        _ = FileManager.default.createFile(atPath: file.path, contents: nil)
        try #require(truncate(file.path, 80 << 20) == 0)
        _ = try await Tool.run("xz", [file.path])
        let bytes = [UInt8](try Data(contentsOf: directory.file("zeros.xz")))
        #expect(bytes.count < 100_000)
        #expect(bytes.withUnsafeBytes { MiniDebugInfo.decompressed($0) } == nil)
    }

    /// As the GDB manual makes it: names that the dynamic symbols lack, compressed.
    private static func miniature() async throws -> [UInt8] {
        let whole = try await Fixtures.gcc.value.url.path
        let directory = try TemporaryDirectory()
        let (debug, mini) = (directory.file("debug").path, directory.file("mini").path)
        _ = try await Tool.run("objcopy", ["--only-keep-debug", whole, debug])
        _ = try await Tool.run("objcopy", ["-S", "--keep-symbol=outer", "--keep-symbol=main", debug, mini])
        _ = try await Tool.run("xz", [mini])
        return [UInt8](try Data(contentsOf: directory.file("mini.xz")))
    }

    private static func withMiniDebugInfo() async throws -> (TemporaryDirectory, URL) {
        let directory = try TemporaryDirectory()
        let (data, program) = (directory.file("mini.xz"), directory.file("fixture"))
        try Data(try await miniature()).write(to: data)
        _ = try await Tool.run("strip", [try await Fixtures.gcc.value.url.path, "-o", program.path])
        _ = try await Tool.run("objcopy", ["--add-section", ".gnu_debugdata=\(data.path)", program.path])
        return (directory, program)
    }

    @Test(.enabled(if: Tool.exists("dwz"))) func findsDwzsCommonFileInTheSystemsFolder() async throws {
        let fixture = try await Fixtures.dwarf4.value
        let directory = try TemporaryDirectory()
        let copies = ["one", "two"].map { directory.file($0) }
        for copy in copies { try FileManager.default.copyItem(at: fixture.url, to: copy) }
        try FileManager.default.createDirectory(
            at: directory.file("debug/.dwz/x86_64-linux-gnu"), withIntermediateDirectories: true)
        let common = directory.file("debug/.dwz/x86_64-linux-gnu/package.debug")
        _ = try await Tool.run(
            "dwz", ["-m", common.path, "-M", "/elsewhere/x86_64-linux-gnu/package.debug"] + copies.map(\.path))
        let frames = try Fixture(directory: directory, url: copies[0]).firstFrames(
            with: Symbolizer(options: .init(symbolStores: [], systemDirectories: [directory.file("debug").path]))
        ) { $0.first?.symbol == "inner" }
        #expect(frames.map(\.summary) == Self.chain)
    }

    private static let caller = """
        #include <math.h>
        #include <stdlib.h>
        #include <unistd.h>
        int main(int argc, char **argv) { return getpid() + abs((int)getppid()) + (argc > 9 ? atoi(argv[1]) : 0); }
        """

    @Test(
        .enabled(if: Tool.exists("objdump")),
        arguments: [["-fcf-protection=none"], ["-fcf-protection=full"], ["-Wl,-z,now", "-fcf-protection=none"]])
    func namesTheStubsThatObjdumpNames(_ options: [String]) async throws {
        let fixture = try await Fixture.compile(Self.caller, named: "caller.c", by: "gcc", ["-O1"] + options)
        // `0000000000001030 <getpid@plt>:`
        let listing = try await Tool.run("objdump", ["-d", fixture.url.path])
        let stubs = listing.matches(of: /(?m)^([0-9a-f]{16}) <([a-z_]+@plt)>:$/).map {
            ($0.output.1, String($0.output.2))
        }
        try #require(stubs.contains { $0.1 == "getpid@plt" })
        let symbolizer = Symbolizer(options: .testing)
        for (place, name) in stubs {
            let address = try #require(UInt64(place, radix: 16))
            for offset in UInt64(0)..<6 {
                let frames = symbolizer.symbolize(
                    address: Fixture.bias + address + offset, isReturnAddress: false, in: fixture.module)
                #expect(frames.map(\.symbol) == [name])
            }
        }
    }

    @Test(
        arguments: [
            ("puts@plt", "puts@plt", nil), ("_ZNSolsEi@plt", "std::ostream::operator<<(int)@plt", "C++"),
            ("_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const", "C++"),
            ("_ZN1A1fB5cxx11Ev", "A::f[abi:cxx11]()", "C++"),
            ("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE.llvm.123", "core::fmt::Write::write_fmt", "Rust"),
            (
                "_RNvXs5_NtCs5X6Y_4core3fmtuNtB5_5Debug3fmt", "<() as core::fmt::Debug>::fmt", "Rust"
            ),
            ("_RNCNvCs1_5crate4main0", "crate::main::{closure#0}", "Rust"),
        ] as [(String, String, String?)])
    func showsReadableNames(_ raw: String, _ name: String, _ language: String?) {
        let result = demangled(raw)
        #expect(result.name == name)
        #expect(result.language == language)
    }

    @Test(.enabled(if: Tool.exists("rustc")), arguments: [["-C", "symbol-mangling-version=v0"], []])
    func namesRustInBothManglings(_ scheme: [String]) async throws {
        let fixture = try await Fixture.compile(
            Sources.rust, named: "chain.rs", by: "rustc",
            ["-O", "-g", "--edition", "2021"] + scheme)
        let frames = try fixture.firstFrames { $0.first?.symbol.hasSuffix("space::inner") == true }
        #expect(frames.map(\.symbol) == ["chain::space::inner", "chain::space::outer"])
        // The compiler's default was the legacy one for ten years; either keeps its raw form.
        #expect(frames.last?.rawSymbol.hasPrefix(scheme.isEmpty ? "_" : "_R") == true)
        #expect(frames.last?.rawSymbol != frames.last?.symbol)
    }

    /// Neither libdw nor anything else here may bring the network in.
    @Test func neverLoadsADebuginfodClient() async throws {
        let symbolizer = Symbolizer()
        for path in ["/lib/x86_64-linux-gnu/libc.so.6", BuildProducts.executable("CrashProbe").path] {
            _ = symbolizer.symbolize(address: Fixture.bias + 0x30000, isReturnAddress: false, in: Fixture.module(path))
        }
        let maps = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/maps")).readToEnd() ?? Data()
        #expect(!String(decoding: maps, as: UTF8.self).contains("libdebuginfod"))
    }
}
