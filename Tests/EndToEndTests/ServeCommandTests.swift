// `granite serve` as an operator meets it: signals, exit codes, what it inherits.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(2)))
struct ServeCommandTests {
    private let folder: TemporaryDirectory
    private var log: URL { folder.file("granite.log") }

    init() throws { folder = try TemporaryDirectory() }

    private func serve(_ application: String, arguments: [String] = [], launcher: [String] = []) throws -> Command {
        try folder.write(application, to: "app.py")
        return try GraniteServer.start(
            "app:app", in: folder.url, log: log, crashes: folder.file("crashes"),
            arguments: ["--workers", "1"] + arguments,
            launcher: launcher)
    }

    private func event(_ name: String) async throws -> Event {
        let log = log
        let came = await Command.eventually(limit: 40) { GraniteServer.events(in: log).contains { $0.name == name } }
        try #require(came, "no \(name) in:\n\((try? String(contentsOf: log, encoding: .utf8)) ?? "")")
        return try #require(GraniteServer.events(in: log).first { $0.name == name })
    }

    private static let quiet =
        "def app(environ, start_response):\n    start_response('204 No Content', [])\n    return []\n"

    /// An ignored SIGCHLD is inherited, and the kernel then keeps no wait status: a SIGSEGV was logged as exit code 0.
    @Test(.enabled(if: TestPython.path != nil))
    func aParentThatIgnoresSIGCHLDDoesNotHideHowAWorkerDied() async throws {
        let ignoring =
            "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
        let server = try serve(Self.quiet, launcher: [try #require(TestPython.path), "-c", ignoring])
        let worker = try await event("worker.ready")
        kill(pid_t(try #require(worker.int("worker.pid"))), SIGSEGV)
        #expect(try await event("worker.exited").string("signal") == "SIGSEGV")
        server.send(signal: SIGTERM)
        #expect(await server.wait(limit: 40) == .code(0))
    }

    /// The service group's own word for it, "asked to stop", was often faster.
    @Test(arguments: [SIGTERM, SIGINT]) func theReasonOfAStopIsItsSignal(signal: Int32) async throws {
        let server = try serve(Self.quiet)
        _ = try await event("worker.ready")
        server.send(signal: signal)
        #expect(await server.wait(limit: 40) == .code(0))
        let name = signal == SIGTERM ? "SIGTERM" : "SIGINT"
        #expect(try await event("server.stopping").string("reason") == name)
        #expect(try await event("server.stopped").string("reason") == name)
    }

    /// A terminal sends SIGINT to the worker too: while it imported the application it died of it, which counted as a crash.
    @Test func controlCDuringTheImportIsNoCrash() async throws {
        let server = try serve("open('importing', 'w').close()\nimport time\ntime.sleep(600)\n")
        let marker = folder.file("importing").path
        #expect(await Command.eventually(limit: 40) { FileManager.default.fileExists(atPath: marker) })
        kill(pid_t(try #require(try await event("worker.started").int("worker.pid"))), SIGINT)
        server.send(signal: SIGINT)
        #expect(await server.wait(limit: 40) == .code(0))
        #expect(try await event("worker.exited")["expected"] as? Bool == true)
        #expect(!GraniteServer.events(in: log).contains { $0.name == "crash.reported" })
    }

    @Test func anImportThatHangsEndsTheServerWithASentence() async throws {
        let server = try serve("import time\ntime.sleep(600)\n", arguments: ["--startup-timeout", "2"])
        #expect(await server.wait(limit: 40) == .code(3))
        #expect(
            try await event("server.stopped").string("reason")
                == "the application was not loaded after 2 s; --startup-timeout gives it longer")
    }

    /// 5 is documented as: cannot listen.
    @Test func theApplicationsOwnExitCodeIsNotTheServers() async throws {
        let server = try serve("import os\nos._exit(5)\n")
        #expect(await server.wait(limit: 40) == .code(3))
        #expect(try await event("worker.exited").int("code") == 5)
    }
}
