// Small programs that the tests compile, and the places in them that the tests ask for.

import Foundation
import GraniteSymbols
import Synchronization
import TestSupport
import Testing

/// A compiled program or library with debug information.
struct Fixture: Sendable {
    /// Keeps the folder.
    let directory: TemporaryDirectory
    let url: URL

    /// Compiles one source text; `arguments` come before the source's name.
    static func compile(_ source: String, named name: String, by compiler: String, _ arguments: [String]) async throws
        -> Fixture
    {
        let directory = try TemporaryDirectory()
        try directory.write(source, to: name)
        let url = directory.file("fixture")
        let tool = try #require(Tool.path(compiler), "\(compiler) is needed")
        let result = try await Command.run(
            tool, arguments + [directory.file(name).path, "-o", url.path],
            environment: ["SWIFT_BACKTRACE": "enable=no"],
            directory: directory.url, limit: 240)
        try #require(result.ending == .code(0), "\(result.errors)")
        return Fixture(directory: directory, url: url)
    }

    /// The file as if mapped at ``bias``.
    var module: ModuleImage { Self.module(url.path, buildID: ELFImage.buildID(path: url.path)) }

    static let bias: UInt64 = 0x7f12_3456_0000

    static func module(_ path: String, buildID: [UInt8]? = nil) -> ModuleImage {
        ModuleImage(path: path, start: bias, end: bias + 0x1000_0000, bias: bias, buildID: buildID)
    }

    /// Addresses in the file of all bytes of executable segments, every `step`th.
    static func code(_ path: String, step: UInt64 = 1) -> [UInt64] {
        guard let image = ELFImage(path: path) else { return [] }
        return image.loadSegments.filter { $0.flags & 1 != 0 }.flatMap {
            Array(stride(from: $0.address, to: $0.address + $0.memorySize, by: Int(step)))
        }
    }

    /// The chain at the first address in the file whose chain fits.
    func firstFrames(
        with symbolizer: Symbolizer = Symbolizer(options: .testing), where fits: ([SymbolizedFrame]) -> Bool
    ) throws -> [SymbolizedFrame] {
        for address in Self.code(url.path) {
            let frames = symbolizer.symbolize(address: Self.bias + address, isReturnAddress: false, in: module)
            if fits(frames) { return frames }
        }
        return try #require(nil, "no address fits")
    }
}

extension Symbolizer.Options {
    /// Independent of the machine's own debug files.
    static var testing: Symbolizer.Options { .init(symbolStores: [], systemDirectories: []) }
}

extension SymbolizedFrame {
    /// `symbol file:line:column`, with `inlined` and `pseudo` marks; folders are left out.
    var summary: String {
        var text = symbol
        if let file { text += " \(file.split(separator: "/").last ?? "")" }
        if let line { text += ":\(line)" }
        if let column { text += ":\(column)" }
        return text + (inlined ? " inlined" : "") + (isPseudo ? " pseudo" : "") + (language.map { " \($0)" } ?? "")
    }
}

enum Tool {
    /// An executable in PATH, or in the folder where rustup puts its own.
    static func path(_ name: String) -> URL? {
        let folders =
            (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init) + [
                NSHomeDirectory() + "/.cargo/bin"
            ]
        return folders.map { URL(fileURLWithPath: $0).appendingPathComponent(name) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    static func exists(_ name: String) -> Bool { path(name) != nil }

    /// Runs a tool to its end. Its output goes through a file: many programs run at once here, each inherits the others' pipes,
    /// and so no pipe's end tells that all was read.
    static func run(_ name: String, _ arguments: [String]) async throws -> String {
        let tool = try #require(path(name), "\(name) is needed")
        let directory = try TemporaryDirectory()
        let output = directory.file("output")
        let result = try await Command.run(
            URL(fileURLWithPath: "/bin/sh"), ["-c", "exec \"$0\" \"$@\" >\"$OUTPUT\"", tool.path] + arguments,
            environment: ["OUTPUT": output.path], limit: 240)
        try #require(result.ending == .code(0), "\(name): \(result.errors)")
        return try String(contentsOf: output, encoding: .utf8)
    }

    /// A libpython with debug information, as pyenv builds it; nil if there is none.
    static let libpython: String? = {
        let versions = NSHomeDirectory() + "/.pyenv/versions"
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: versions)) ?? []).sorted().reversed()
        for name in names {
            let short = name.split(separator: ".").prefix(2).joined(separator: ".")
            let path = "\(versions)/\(name)/lib/libpython\(short).so.1.0"
            let symbolizer = Symbolizer(options: .testing)
            if symbolizer.debugStatus(of: Fixture.module(path)) == "found" { return path }
        }
        return nil
    }()
}

/// The sources; each has a chain of three functions, the inner two inlined.
enum Sources {
    static let c = """
        __attribute__((always_inline)) static inline int inner(volatile int *p) {
            return *p + 1;
        }
        __attribute__((always_inline)) static inline int middle(int *p) {
            return inner(p) * 2;
        }
        __attribute__((noinline)) int outer(int *p) {
            return middle(p) + 3;
        }
        int main(void) {
            int x = 1;
            return outer(&x);
        }
        """

    static let cplus = """
        namespace space {
        struct Box {
            int value;
            __attribute__((always_inline)) int get(volatile int *p) const { return value + *p; }
            template <typename T> __attribute__((noinline)) T outer(T *p) const;
        };
        template <typename T> T Box::outer(T *p) const {
            return get(p) * 2;
        }
        static __attribute__((noinline)) int hidden(int *p) {
            return Box{2}.outer<int>(p) + 1;
        }
        }
        int main(int argc, char **) {
            return space::hidden(&argc);
        }
        """

    static let swift = """
        struct Node {
            var values: [Int]
            @inline(__always) func pick(_ index: Int) -> Int { values[index] }
        }
        @inline(__always) func inlineA(_ node: Node, _ index: Int) -> Int { node.pick(index) + 1 }
        @inline(never) func outer(_ node: Node, _ index: Int) -> Int {
            inlineA(node, index)
        }
        enum Space {
            struct Deep {
                @inline(never) func trap(_ index: Int) -> Int { index + Int.max }
            }
        }
        print(outer(Node(values: [1, 2, 3]), CommandLine.arguments.count))
        print(Space.Deep().trap(CommandLine.arguments.count))
        """

    static let rust = """
        pub mod space {
            #[inline(always)]
            fn inner(values: &[u32], index: usize) -> u32 {
                values[index] + 1
            }
            #[inline(never)]
            pub fn outer(values: &[u32], index: usize) -> u32 {
                inner(values, index) * 2
            }
        }
        fn main() {
            println!("{}", space::outer(&[1, 2, 3], std::env::args().count()));
        }
        """
}

/// Compiled once for all tests; their folders are removed at the end of the process, since nothing releases a static.
enum Fixtures {
    static let clang = shared(Sources.c, named: "chain.c", by: "clang", ["-O2", "-g", "-Wl,--build-id"])
    static let gcc = shared(Sources.c, named: "chain.c", by: "gcc", ["-O2", "-g", "-Wl,--build-id"])
    static let dwarf4 = shared(Sources.c, named: "chain.c", by: "gcc", ["-O2", "-gdwarf-4"])
    static let dwarf4WithID = shared(
        Sources.c, named: "chain.c", by: "gcc", ["-O2", "-gdwarf-4", "-Wl,--build-id"])
    static let cplus = shared(Sources.cplus, named: "chain.cpp", by: "g++", ["-O2", "-g", "-Wl,--build-id"])
    static let swift = shared(
        Sources.swift, named: "chain.swift", by: "swiftc", ["-O", "-g", "-Xlinker", "--build-id"])
    static let rust = shared(
        Sources.rust, named: "chain.rs", by: "rustc",
        ["-O", "-g", "--edition", "2021", "-C", "link-arg=-Wl,--build-id"])

    private static let folders = Mutex<[URL]>([])
    private static let removal: Void = {
        atexit { Fixtures.folders.withLock { $0.forEach { try? FileManager.default.removeItem(at: $0) } } }
    }()

    private static func shared(
        _ source: String, named name: String, by compiler: String, _ arguments: [String]
    ) -> Task<Fixture, any Error> {
        Task {
            let fixture = try await Fixture.compile(source, named: name, by: compiler, arguments)
            _ = removal
            folders.withLock { $0.append(fixture.directory.url) }
            return fixture
        }
    }
}
