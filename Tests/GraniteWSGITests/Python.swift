// Finds the Pythons to test with, and runs the probe with one of them.

import Foundation
import TestSupport
import Testing
import WSGIProbe

/// A CPython on this machine.
struct Python: CustomTestStringConvertible, Sendable {
    let path: String
    let version: String
    var testDescription: String { version }

    /// One per minor version, 3.9 to 3.13, with a shared library: of ~/.pyenv/versions, /usr/local and /usr.
    static let installed: [Python] = {
        let pyenv = FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".pyenv/versions").path
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: pyenv)) ?? []
        let prefixes = versions.sorted().map { pyenv + "/" + $0 } + ["/usr/local", "/usr"]
        return (9...13).compactMap { minor in
            for prefix in prefixes {
                let path = "\(prefix)/bin/python3.\(minor)"
                let libraries = [
                    "\(prefix)/lib/libpython3.\(minor).so.1.0",
                    "\(prefix)/lib/x86_64-linux-gnu/libpython3.\(minor).so.1.0",
                ]
                if FileManager.default.isExecutableFile(atPath: path),
                    libraries.contains(where: FileManager.default.fileExists)
                {
                    return Python(path: path, version: "3.\(minor)")
                }
            }
            return nil
        }
    }()

    /// The one that must be there.
    static var usual: Python {
        get throws {
            guard let python = installed.first(where: { $0.version == "3.11" }) else { throw Missing() }
            return python
        }
    }

    struct Missing: Error {}
}

/// What one run of the probe said.
struct ProbeRun {
    var ending: Command.Ending
    var lines: [ProbeLine] = []
    var errors = ""

    var answers: [ScriptedAnswer] {
        lines.compactMap { line in
            if case .answer(let answer) = line { return answer }
            return nil
        }
    }

    var failure: (description: String, traceback: String?)? {
        for case .failure(let description, let traceback) in lines { return (description, traceback) }
        return nil
    }
}

enum Probe {
    static let fixtures = BuildProducts.checkout.appendingPathComponent("Tests/GraniteWSGITests/Fixtures")

    /// Runs the probe; `requests` go to it as a script.
    static func run(
        _ arguments: [String], _ requests: [ScriptedRequest] = [], environment: [String: String?] = [:],
        directory: URL? = fixtures
    ) async throws -> ProbeRun {
        let folder = try TemporaryDirectory()
        let script = folder.file("script.json")
        try JSONEncoder().encode(requests).write(to: script)
        var variables: [String: String?] = ["VIRTUAL_ENV": nil, "PYTHONPATH": nil, "PYTHONDONTWRITEBYTECODE": "1"]
        variables.merge(environment) { $1 }
        let (ending, output, errors) = try await Command.run(
            BuildProducts.executable("WSGIProbe"), arguments + ["--script", script.path], environment: variables,
            directory: directory)
        var run = ProbeRun(ending: ending, errors: errors)
        for line in output.split(separator: "\n") {
            // What is no line of the probe's, the application printed.
            if let parsed = try? JSONDecoder().decode(ProbeLine.self, from: Data(line.utf8)) {
                run.lines.append(parsed)
            }
        }
        return run
    }

    /// Serves requests with `wsgi_cases:app`, and expects the probe to end well.
    static func serve(
        _ python: Python, _ requests: [ScriptedRequest], target: String = "wsgi_cases:app", options: [String] = []
    ) async throws -> ProbeRun {
        let run = try await run(["serve", "--python", python.path] + options + [target], requests)
        guard run.ending == .code(0), run.answers.count == requests.count else {
            throw Failed(
                description:
                    "the probe ended with \(run.ending): \(run.failure?.description ?? "") \(run.errors.suffix(3000))")
        }
        return run
    }

    struct Failed: Error, CustomStringConvertible { var description: String }
}

/// The body of an answer as JSON text with sorted keys: easy to compare.
extension ScriptedAnswer {
    var json: String {
        guard let value = try? JSONSerialization.jsonObject(with: body, options: .fragmentsAllowed),
            let data = try? JSONSerialization.data(
                withJSONObject: value, options: [.sortedKeys, .fragmentsAllowed, .withoutEscapingSlashes])
        else { return "not JSON: " + text }
        return String(decoding: data, as: UTF8.self)
    }

    func value<Value>(as type: Value.Type) -> Value? {
        (try? JSONSerialization.jsonObject(with: body, options: .fragmentsAllowed)) as? Value
    }
}
