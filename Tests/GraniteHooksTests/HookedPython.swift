// Runs a script in a Python that has the capture and the hooks in it, and reads what they wrote on its page.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

/// A CPython on this machine.
struct HookedPython: CustomTestStringConvertible, Sendable {
    let path: String
    let version: String
    var testDescription: String { version }

    /// One per minor version, 3.9 to 3.13: of ~/.pyenv/versions, /usr/local and /usr.
    static let installed: [HookedPython] = {
        let pyenv = FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".pyenv/versions").path
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: pyenv)) ?? []
        let prefixes = versions.sorted().map { "\(pyenv)/\($0)" } + ["/usr/local", "/usr"]
        return (9...13).compactMap { minor in
            prefixes.map { "\($0)/bin/python3.\(minor)" }.first(where: FileManager.default.isExecutableFile).map {
                HookedPython(path: $0, version: "3.\(minor)")
            }
        }
    }()

    /// The one that must be there.
    static var usual: HookedPython {
        get throws { try #require(installed.first { $0.version == "3.11" } ?? installed.last, "there is no Python") }
    }

    /// What one run left.
    struct Outcome {
        var ending: Command.Ending
        var output: String
        var errors: String
        /// The last capture.
        var capture: CrashPage.Capture
        /// The most frequent first.
        var occasions: [CrashPage.Occasion]
    }

    /// Runs `script` behind `from hooked import *`.
    func run(_ script: String, options: [String] = [], environment: [String: String?] = [:]) async throws -> Outcome {
        let folder = try TemporaryDirectory()
        try folder.write("from hooked import *\n" + script, to: "app.py")
        let page = folder.file("page")
        var variables: [String: String?] = [
            "GRANITE_TEST_PRELOAD": BuildProducts.directory.appendingPathComponent("libgranite-preload.so").path,
            "GRANITE_TEST_PAGE": page.path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": BuildProducts.checkout.appendingPathComponent("Tests/GraniteHooksTests/Fixtures").path,
        ]
        variables.merge(environment) { $1 }
        let run = try await Command.run(
            URL(fileURLWithPath: path), options + ["app.py"], environment: variables, directory: folder.url)
        let file = try #require(
            FileHandle(forReadingAtPath: page.path), "no page: \(run.ending) \(run.output) \(run.errors)")
        defer { try? file.close() }
        let written = try CrashPage(descriptor: file.fileDescriptor)
        return Outcome(
            ending: run.ending, output: run.output, errors: run.errors, capture: try written.capture(),
            occasions: try written.occasions())
    }
}
