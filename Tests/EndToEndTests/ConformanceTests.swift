// What clients and frameworks see: the PEP 3333 probe, Django's admin, start-up errors.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestPython.path != nil, "python3 is missing: run Tests/run"), .timeLimit(.minutes(5)))
struct ConformanceTests {
    @Test func passesEveryCheckOfTheWSGIProbe() async throws {
        let server = try await GraniteServer("probe_app:app", in: GraniteServer.probeApp)
        let probe = try await Command.run(
            URL(fileURLWithPath: try #require(TestPython.path)),
            [GraniteServer.fixtures.appendingPathComponent("wsgi_probe.py").path, "127.0.0.1:\(server.port)"],
            limit: 120)
        #expect(probe.output.contains("== 41/41 pass"), "\(probe.output)")
        #expect(await server.stop() == .code(0))
    }

    @Test(.enabled(if: TestPython.has("django"), "Django is missing: run Tests/run"))
    func servesDjangosAdminLogin() async throws {
        let folder = try TemporaryDirectory()
        let python = URL(fileURLWithPath: try #require(TestPython.path))
        let made = try await Command.run(python, ["-m", "django", "startproject", "site1", folder.url.path])
        #expect(made.ending == .code(0), "\(made.errors)")
        let migrated = try await Command.run(python, ["manage.py", "migrate"], directory: folder.url)
        #expect(migrated.ending == .code(0), "\(migrated.errors)")
        let server = try await GraniteServer("site1.wsgi:application", in: folder.url)
        let answer = await server.get("/admin/login/")
        #expect(answer?.status == 200)
        #expect(answer?.body.contains("csrfmiddlewaretoken") == true)
        #expect(await server.stop() == .code(0))
    }

    struct Failure: Sendable, CustomTestStringConvertible {
        var name: String
        var application: String
        var source: String
        var code: Int32
        var says: [String]
        var testDescription: String { name }
    }

    @Test(arguments: [
        Failure(name: "missing module", application: "nowhere:app", source: "", code: 3, says: ["nowhere"]),
        Failure(
            name: "missing attribute", application: "main:application", source: "def create(): pass\n", code: 3,
            says: ["application"]),
        Failure(
            name: "fails on import", application: "main:app", source: "import os\nraise ValueError('no database')\n",
            code: 3,
            says: ["ValueError: no database", "line 2"]),
    ])
    func anAppThatCannotBeLoadedEndsTheServerWithItsReason(_ failure: Failure) async throws {
        let folder = try TemporaryDirectory()
        try folder.write(failure.source, to: "main.py")
        let server = try GraniteServer.start(
            failure.application, in: folder.url, log: folder.file("log"), crashes: folder.file("crashes"))
        #expect(await server.wait(limit: 30) == .code(failure.code))
        let told = server.standardError + ((try? String(contentsOf: folder.file("log"), encoding: .utf8)) ?? "")
        for words in failure.says { #expect(told.contains(words), "\(told)") }
    }

    @Test func aPortInUseIsToldWithTheCode5() async throws {
        let first = try await GraniteServer("probe_app:app", in: GraniteServer.probeApp)
        let folder = try TemporaryDirectory()
        let second = try GraniteServer.start(
            "probe_app:app", in: GraniteServer.probeApp, log: folder.file("log"), crashes: folder.file("crashes"),
            arguments: ["--port", "\(first.port)"])
        #expect(await second.wait(limit: 30) == .code(5))
        let told = second.standardError + ((try? String(contentsOf: folder.file("log"), encoding: .utf8)) ?? "")
        #expect(told.contains("\(first.port)") && told.contains("in use"), "\(told)")
        #expect(await first.stop() == .code(0))
    }

    @Test func aPythonWithoutLibpythonIsToldWithTheCode4() async throws {
        let folder = try TemporaryDirectory()
        let server = try GraniteServer.start(
            "main:app", in: folder.url, log: folder.file("log"), crashes: folder.file("crashes"),
            arguments: ["--python", "/bin/true"])
        #expect(await server.wait(limit: 30) == .code(4))
        let told = server.standardError + ((try? String(contentsOf: folder.file("log"), encoding: .utf8)) ?? "")
        #expect(told.contains("/bin/true"), "\(told)")
    }

    @Test func aCrashDirectoryThatCannotBeUsedIsToldWithTheCode6() async throws {
        let folder = try TemporaryDirectory()
        try folder.write("a file", to: "crashes")
        let server = try GraniteServer.start(
            "probe_app:app", in: GraniteServer.probeApp, log: folder.file("log"), crashes: folder.file("crashes"))
        #expect(await server.wait(limit: 30) == .code(6))
        let told = server.standardError + ((try? String(contentsOf: folder.file("log"), encoding: .utf8)) ?? "")
        #expect(told.contains(folder.file("crashes").path), "\(told)")
    }
}
