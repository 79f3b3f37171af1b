// Defines a line of Tests/CrashProbe/matrix.json as far as a stress run checks it: the diagnosis' wording is left to the matrix test.

import Foundation

struct MatrixCase: Decodable, Sendable {
    var name: String
    /// A signal's name or an exit code.
    var status: Status
    var kind: String
    var category: String
    /// Functions of the crashed thread, innermost first; others may lie between them.
    var frames: [String]
    var reports: Int
    /// How the sentence begins.
    var reason: String?
    /// A program without which the case cannot be made.
    var needs: String?
    /// A file of Tests/CrashLibraries that is built with `needs` and `flags`, and whose path is the case's argument.
    var library: String?
    var flags: [String]?
    /// True if the process was in no state to tell all, and the report says so.
    var incomplete: Bool?

    enum Status: Decodable, Sendable, CustomStringConvertible {
        case signal(String)
        case code(Int)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let code = try? container.decode(Int.self) {
                self = .code(code)
            } else {
                self = .signal(try container.decode(String.self))
            }
        }

        var description: String {
            switch self {
            case .signal(let name): name
            case .code(let code): "exit \(code)"
            }
        }
    }

    enum CodingKeys: String, CodingKey {
        case name = "case"
        case status, kind, category, frames, reports, reason, needs, library, flags, incomplete
    }

    /// Whether the program goes on after its report.
    var isSurvived: Bool { if case .code(0) = status { true } else { false } }

    static func load(_ path: String) throws -> [MatrixCase] {
        try JSONDecoder().decode([MatrixCase].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

/// Builds what some cases load. Belongs to the main thread.
struct CrashLibraries {
    let sources: URL
    let folder: URL
    private var built: [String: String] = [:]

    init(sources: URL, folder: URL) {
        self.sources = sources
        self.folder = folder
    }

    /// The library of a case; nil if the machine has no such compiler or it fails.
    mutating func path(of entry: MatrixCase) -> String? {
        guard let source = entry.library, let compiler = entry.needs.flatMap(Self.find) else { return nil }
        let flags = entry.flags ?? []
        let key = ([source] + flags).joined(separator: " ")
        if let path = built[key] { return path }
        let output = folder.appendingPathComponent("library\(built.count).so").path
        let kind =
            source.hasSuffix(".rs")
            ? ["--crate-type", "cdylib", "--edition", "2021", "-g"] : ["-shared", "-fPIC", "-g"]
        let process = Process()
        process.executableURL = compiler
        process.arguments = kind + flags + ["-o", output, sources.appendingPathComponent(source).path]
        guard (try? process.run()) != nil else { return nil }
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        built[key] = output
        return output
    }

    static func find(_ program: String) -> URL? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { URL(fileURLWithPath: "\($0)/\(program)") }.first {
            FileManager.default.isExecutableFile(atPath: $0.path)
        }
    }
}
