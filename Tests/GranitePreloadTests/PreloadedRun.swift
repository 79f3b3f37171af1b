// Runs a program with the library preloaded, to its end, and tells who said hello.

import Foundation
import TestSupport

/// One run, ended.
struct PreloadedRun {
    var ending: Command.Ending
    var output: String
    var errors: String
    var members: [RunGuardian.Member]

    static var library: URL { BuildProducts.directory.appendingPathComponent("libgranite-preload.so") }

    /// The program that the test started, and its children by fork(2).
    var first: RunGuardian.Member? { members.first }
    var forked: [RunGuardian.Member] { members.filter(\.isForked) }

    /// - Parameter environment: added to the test's own; nil values are removed.
    static func run(_ executable: URL, _ arguments: [String] = [], environment: [String: String?] = [:]) async throws
        -> PreloadedRun
    {
        let guardian = try RunGuardian()
        let program = program(executable, arguments, environment: environment, guardian: guardian)
        let (ending, output, errors) = try await program.run()
        return PreloadedRun(ending: ending, output: output, errors: errors, members: try guardian.members())
    }

    /// A program to be run under a guardian of the caller's.
    static func program(
        _ executable: URL, _ arguments: [String] = [], environment: [String: String?] = [:], guardian: RunGuardian
    ) -> FreshProgram {
        var variables: [String: String?] = [
            "LD_PRELOAD": library.path, "GRANITE_RUN_SOCKET": guardian.name, "GRANITE_BACKTRACE": nil,
            "SWIFT_BACKTRACE": "enable=no",
        ]
        variables.merge(environment) { $1 }
        return FreshProgram(path: executable.path, arguments: arguments, environment: variables)
    }

    /// Compiles a C program and runs it.
    static func run(c source: String, _ arguments: [String] = [], environment: [String: String?] = [:]) async throws
        -> PreloadedRun
    {
        let folder = try TemporaryDirectory()
        return try await run(compile(source, in: folder), arguments, environment: environment)
    }

    /// The C compiler; tests that need it are skipped where there is none.
    static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    private struct CompilerFailed: Error {
        var text: String
    }

    static func compile(_ source: String, in folder: TemporaryDirectory) async throws -> URL {
        try folder.write("#define _GNU_SOURCE\n" + source, to: "program.c")
        let program = folder.file("program")
        let (ending, _, errors) = try await Command.run(
            URL(fileURLWithPath: compiler ?? ""),
            ["-O1", "-w", "-pthread", "-o", program.path, folder.file("program.c").path])
        guard ending == .code(0) else { throw CompilerFailed(text: errors) }
        return program
    }
}
