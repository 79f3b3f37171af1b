// README shows a real crash: it must be the one that the sample gives today.

import Foundation
import TestSupport
import Testing

@Suite(.enabled(if: TestPython.has("flask"), "Flask is missing: run Tests/run"), .timeLimit(.minutes(2)))
struct ReadmeTests {
    @Test func showsThePythonFramesThatTheSamplesCrashHas() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        #expect(await server.get("/crash/null") == nil)
        let respawned = try await server.event("worker.respawned")
        let show = try await Command.run(
            BuildProducts.executable("granite-crash"),
            ["show", try #require(respawned.string("crash.id")), "--crash-dir", server.crashes.path])
        let readme = try String(contentsOf: BuildProducts.checkout.appendingPathComponent("README.md"), encoding: .utf8)
        let shown = try #require(block("show", of: readme))
        #expect(pythonFunctions(shown) == pythonFunctions(show.output))
        #expect(pythonFunctions(shown).contains("crash_null"))
        #expect(shown.contains("died of SIGSEGV") && show.output.contains("died of SIGSEGV"))
        let line = try #require(block("event", of: readme)?.split(separator: "\n").first { $0.hasPrefix("{") })
        let event = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(Set(event.keys) == Set(respawned.fields.keys))
        #expect(await server.stop() == .code(0))
    }

    private func block(_ name: String, of readme: String) -> String? {
        guard let start = readme.range(of: "<!-- \(name):begin -->"), let end = readme.range(of: "<!-- \(name):end -->")
        else { return nil }
        return String(readme[start.upperBound..<end.lowerBound])
    }

    /// Names of the Python frames, in order: lines differ between versions of Flask and Python.
    private func pythonFunctions(_ text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count > 3, Int(words[0]) != nil, words[1] == "Python" else { return nil }
            return words[2].split(separator: ".").last.map(String.init)
        }
    }
}
