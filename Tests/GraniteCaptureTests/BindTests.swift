// granite_bind.h as programs of other languages use it: built here by their own compilers, run with the preloaded library.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct BindTests {
    private static func source(_ name: String) -> String {
        BuildProducts.checkout.appendingPathComponent("Tests/GraniteCaptureTests/Fixtures/\(name)").path
    }

    private static let includes = BuildProducts.checkout.appendingPathComponent("Sources/CGraniteCapture/include").path
    private static let library = BuildProducts.directory.appendingPathComponent("libgranite-preload.so").path

    private static func compiler(_ names: [String]) -> URL? {
        let folders = (Foundation.ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
        return names.lazy.flatMap { name in folders.map { URL(fileURLWithPath: "\($0)/\(name)") } }.first {
            FileManager.default.isExecutableFile(atPath: $0.path)
        }
    }

    private static let c = compiler(["gcc", "cc"])
    private static let cPlusPlus = compiler(["g++", "c++"])
    private static let rust = compiler(["rustc"])
    private static let strict = [
        "-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-fno-omit-frame-pointer", "-pthread",
    ]

    private static func build(_ compiler: URL?, _ arguments: [String], to program: String) async throws {
        let compiler = try #require(compiler)
        let result = try await Command.run(compiler, arguments + ["-o", program], limit: 60)
        try #require(result.ending == .code(0), "\(result.errors)")
    }

    /// Runs it under the library with a page, to its end.
    private static func run(_ program: String) throws -> (status: Int32, page: CrashPage) {
        let descriptor = try CrashPage.make(crashID: "01TEST", slot: 1, generation: 1, level: 1)
        defer { close(descriptor) }
        let page = try CrashPage(descriptor: descriptor)
        let pid = try ProbeProcess.spawn(
            "/usr/bin/env", ["LD_PRELOAD=\(library)", program, "under"], descriptors: [descriptor: 10])
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        return (status, page)
    }

    private static func expectBothMistakes(_ page: CrashPage, uses: UInt32) throws {
        let occasions = try page.occasions()
        let used = occasions.first { $0.message.hasSuffix("but is being used on another thread") }
        #expect(used?.kind == .dropSite)
        #expect(used?.subject == "database cursor")
        #expect(used?.count == uses)
        #expect(used?.captured == 1)
        let released = occasions.first { $0.message.hasSuffix("but is being released on another thread") }
        #expect(released?.count == 1)
        #expect(released?.captured == 1)
    }

    @Test(arguments: [
        (c, ["-std=c99"]), (cPlusPlus, ["-std=c++17", "-x", "c++"]), (cPlusPlus, ["-std=c++98", "-x", "c++"]),
    ])
    func aProgramBindsAValueAndIsToldOfBothMistakes(_ compiler: URL?, _ options: [String]) async throws {
        let folder = try TemporaryDirectory()
        let program = folder.url.appendingPathComponent("bind").path
        try await Self.build(
            compiler, Self.strict + options + ["-I", Self.includes, Self.source("bind.c")], to: program)

        let (status, page) = try Self.run(program)
        #expect(status == 0)
        try Self.expectBothMistakes(page, uses: 5)
        #expect(try page.breadcrumbs().last?.message == "the cursor is open")
        let capture = try page.capture()
        #expect(capture.sequence == 3)
        #expect(capture.kind == .dump)
        #expect(capture.subject == "the end")
        #expect(capture.details["hook"] == "c")

        let alone = try await Command.run(URL(fileURLWithPath: program), ["alone"], limit: 20)
        #expect(alone.ending == .code(0), "without Granite every call does nothing")
    }

    @Test(.enabled(if: rust != nil, "rustc is not installed"))
    func aRustProgramFindsTheFunctionsByName() async throws {
        let folder = try TemporaryDirectory()
        let program = folder.url.appendingPathComponent("bind").path
        try await Self.build(Self.rust, ["--edition", "2021", "-O", Self.source("bind.rs")], to: program)
        let (status, page) = try Self.run(program)
        #expect(status == 0)
        try Self.expectBothMistakes(page, uses: 1)
    }

    @Test func workersExportTheFunctionsForExtensions() throws {
        let lines = try SymbolTable.lines(["-D", "--defined-only"], of: BuildProducts.executable("granite").path)
        for name in ["bind", "check", "drop", "annotate", "report"] {
            #expect(lines.contains { $0.hasSuffix(" T granite_bound_\(name)") }, "granite_bound_\(name)")
        }
    }
}
