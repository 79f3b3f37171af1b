// Defines what Tests/CrashProbe/matrix.json says of each crash. The stress script reads the same file.

import Foundation
import TestSupport
import Testing

/// One line of the matrix. Whoever adds a crash adds a line, and no code here.
struct MatrixEntry: Decodable, Sendable, CustomTestStringConvertible {
    /// The case's name in CrashProbe.
    var name: String
    /// What waitpid(2) must say.
    var status: Status
    var kind: String
    var category: String
    /// `certain` if it is left out.
    var confidence: String?
    /// Functions of the crashed thread, innermost first; others may lie between them.
    var frames: [String]
    /// How many reports the crash makes, from its start to its end.
    var reports: Int
    /// How the sentence begins.
    var reason: String?
    /// Texts that the sentence or a line of evidence must contain.
    var evidence: [String]?
    /// A program without which the case cannot be made: `rustc`, `c++`.
    var needs: String?
    /// A file of Tests/CrashLibraries that is built with `needs` and `flags`, and whose path is the case's argument.
    var library: String?
    var flags: [String]?
    /// True if the process was in no state to tell all, and the report says so.
    var incomplete: Bool?
    /// Functions of one turn of a runaway recursion; 1 if it is left out, 0 for any number.
    var cycle: Int?
    var testDescription: String { name }

    enum Status: Decodable, Sendable {
        /// `SIGSEGV`
        case signal(String)
        case code(Int)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            self =
                if let code = try? container.decode(Int.self) { .code(code) } else {
                    .signal(try container.decode(String.self))
                }
        }
    }

    enum CodingKeys: String, CodingKey {
        case name = "case"
        case status, kind, category, confidence, frames, reports, reason, evidence, needs, library, flags, incomplete,
            cycle
    }

    /// The matrix. Empty if it cannot be read: a test sees to that.
    static let all: [MatrixEntry] = (try? load()) ?? []

    static func load() throws -> [MatrixEntry] {
        let file = BuildProducts.checkout.appendingPathComponent("Tests/CrashProbe/matrix.json")
        return try JSONDecoder().decode([MatrixEntry].self, from: Data(contentsOf: file))
    }
}

/// Builds the loadable libraries of the matrix, each once.
actor MatrixLibraries {
    static let shared = MatrixLibraries()
    private var builds: [String: Task<URL, any Error>] = [:]
    private var directory: TemporaryDirectory?

    /// nil if the case has none, or the machine has no such compiler.
    func path(of entry: MatrixEntry) async throws -> URL? {
        guard let source = entry.library, let compiler = entry.needs.flatMap(Self.find) else { return nil }
        let flags = entry.flags ?? []
        let key = ([source] + flags).joined(separator: " ")
        if let build = builds[key] { return try await build.value }
        let folder = try directory ?? TemporaryDirectory()
        directory = folder
        let output = folder.file("library\(builds.count).so")
        let build = Task { try await Self.build(source, flags, compiler, output) }
        builds[key] = build
        return try await build.value
    }

    private static func build(_ source: String, _ flags: [String], _ compiler: URL, _ output: URL) async throws -> URL {
        let input = BuildProducts.checkout.appendingPathComponent("Tests/CrashLibraries/\(source)").path
        let kind =
            source.hasSuffix(".rs") ? ["--crate-type", "cdylib", "--edition", "2021"] : ["-shared", "-fPIC"]
        let run = try await Command.run(compiler, kind + ["-g"] + flags + ["-o", output.path, input], limit: 120)
        try #require(run.ending == .code(0), "\(run.errors)")
        return output
    }

    static func find(_ program: String) -> URL? {
        let folders = (Foundation.ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { URL(fileURLWithPath: "\($0)/\(program)") }.first {
            FileManager.default.isExecutableFile(atPath: $0.path)
        }
    }
}
