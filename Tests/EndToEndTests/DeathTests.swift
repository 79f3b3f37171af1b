// Every way a worker can die: what the log says, what the report holds, and that the server goes on.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestPython.has("flask"), "Flask is missing: run Tests/run"), .timeLimit(.minutes(5)))
struct DeathTests {
    @Test func nullPointerIsExplainedFromLibcThroughTheViewDownToTheWorkersOwnFrames() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        #expect(await server.get("/crash/null?customer=7") == nil)
        let respawned = try await server.event("worker.respawned")
        let after = await server.get("/")
        #expect(after?.status == 200)

        #expect(respawned.string("previous.exit.signal") == "SIGSEGV")
        #expect(respawned.string("crash.category") == "null_dereference")
        #expect(respawned.string("crash.request.method") == "GET")
        let id = try #require(respawned.string("crash.id"))
        let exited = try await server.event("worker.exited")
        #expect(exited.string("crash_id") == id)

        let report = try server.report(id)
        try await expectValid(server.crashes.appendingPathComponent("\(id).json"))
        #expect(report.request?.target?.hasPrefix("/crash/null") == true)
        #expect(report.capture?.incomplete != true, "\(report.capture?.errors ?? [])")
        // Where the worker went, not where it was started: paths are shown relative to it.
        #expect(report.process?.directory == GraniteServer.flaskSample.path)
        let crashed = try #require(report.threads?.first)
        #expect(crashed.crashed == true)
        #expect(crashed.holdsGIL == true)
        let frames = try #require(crashed.frames)
        #expect(frames.first?.module?.contains("libc.so") == true)
        expectInOrder(
            [
                { $0.module?.contains("_ctypes") == true }, { $0.module?.contains("libffi") == true },
                { $0.kind == .python && $0.symbol == "string_at" }, { $0.kind == .python && $0.symbol == "read_name" },
                { $0.kind == .python && $0.symbol == "look_up_customer" },
                { $0.kind == .python && $0.symbol == "crash_null" && $0.inApp == true && ($0.line ?? 0) > 0 },
                { $0.kind == .python && $0.symbol == "Flask.dispatch_request" || $0.symbol == "dispatch_request" },
                { $0.kind == .python && $0.symbol?.hasSuffix("wsgi_app") == true },
                { $0.language == "Swift" && $0.file?.hasSuffix("WorkerCommand.swift") == true && ($0.line ?? 0) > 0 },
            ], in: frames)
        #expect(await server.stop() == .code(0))
    }

    @Test func everyDeathIsToldApartAndReported() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample, workers: 2)
        let deaths: [(path: String, signal: String?, code: Int?, category: String)] = [
            ("/crash/abort", "SIGABRT", nil, "abort"),
            ("/crash/overflow", "SIGSEGV", nil, "stack_overflow"),
            ("/crash/overflow-thread", "SIGSEGV", nil, "stack_overflow"),
            ("/crash/exit", nil, 7, "exit_code"),
            ("/crash/kill", "SIGKILL", nil, "killed_by_process"),
        ]
        for (number, death) in deaths.enumerated() {
            #expect(await server.get(death.path) == nil)
            let exited = try await server.event("worker.exited", count: number + 1)
            #expect(exited.string("signal") == death.signal, "\(death.path): \(exited.line)")
            #expect(exited.int("code") == death.code, "\(death.path): \(exited.line)")
            let respawned = try await server.event("worker.respawned", count: number + 1)
            if death.path != "/crash/kill" {
                #expect(respawned.string("crash.category") == death.category, "\(respawned.line)")
            }
            let id = try #require(respawned.string("crash.id"))
            let report = try server.report(id)
            try await expectValid(server.crashes.appendingPathComponent("\(id).json"))
            #expect(
                report.request?.target == death.path || report.requests?.first?.target == death.path, "\(death.path)")
            if death.category == "stack_overflow" {
                let cycle = try #require(report.threads?.first?.folded, "\(death.path) is not folded")
                #expect(cycle.repeats > 10)
                #expect(report.threads?.first?.frames?.contains { $0.symbol == "descend" } == true)
            }
            let answers = await Command.eventually { await server.get("/")?.status == 200 }
            #expect(answers)
        }
        #expect(server.events("worker.exited").count == deaths.count)
        #expect(await server.stop() == .code(0))
    }

    @Test func anObjectDroppedOnAnotherThreadIsReportedAndTheRequestAnswered() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        let answer = await server.get("/drop")
        #expect(answer?.status == 200)
        #expect(answer?.body == "still alive\n")
        let reported = try await server.event("crash.reported")
        let id = try #require(reported.string("crash.id"))
        let report = try server.report(id)
        try await expectValid(server.crashes.appendingPathComponent("\(id).json"))
        #expect(report.kind == .unraisable || report.kind == .dropSite)
        #expect(report.dropSite?.message?.contains("is being dropped on another thread") == true)
        let frames = try #require(report.threads?.first?.frames)
        expectInOrder(
            [
                { $0.symbol?.contains("gc_collect") == true || $0.kind == .native },
                { $0.kind == .python && $0.symbol == "collect" },
            ],
            in: frames)
        #expect(report.threads?.contains { $0.frames?.contains { $0.symbol == "drop" } == true } == true)
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.get("/")?.status == 200)
        #expect(await server.stop() == .code(0))
    }

    @Test func aReportAppearsAlthoughTheCollectorIsKilledWhileItWorks() async throws {
        let server = try await GraniteServer("app:app", in: GraniteServer.flaskSample)
        let started = try await server.event("collector.started")
        let collector = try #require(started.int("pid"))
        // Stopped, it cannot answer: the worker meets its deadline, and the next collector finds the page.
        kill(pid_t(collector), SIGSTOP)
        #expect(await server.get("/crash/null") == nil)
        _ = try await server.event("worker.exited")
        kill(pid_t(collector), SIGKILL)
        _ = try await server.event("collector.started", count: 2)
        let respawned = try await server.event("worker.respawned")
        let id = try #require(respawned.string("crash.id"))
        let stored = await Command.eventually { (try? server.report(id)) != nil }
        #expect(stored)
        let report = try server.report(id)
        #expect(report.capture?.incomplete == true)
        #expect(report.capture?.errors?.isEmpty == false)
        #expect(report.threads?.first?.frames?.first?.module?.contains("libc.so") == true)
        #expect(await server.stop() == .code(0))
    }

    /// The published schema describes the report, says PyPI's jsonschema.
    private func expectValid(_ report: URL, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        guard TestPython.has("jsonschema") else { return }
        let schema = BuildProducts.checkout.appendingPathComponent("Sources/GraniteReport/granite.crash.1.schema.json")
        let script = """
            import json, sys, jsonschema
            schema, report = (json.load(open(path)) for path in sys.argv[1:])
            jsonschema.Draft202012Validator(schema).validate(report)
            print("valid")
            """
        let run = try await Command.run(
            URL(fileURLWithPath: try #require(TestPython.path)), ["-c", script, schema.path, report.path])
        #expect(run.output == "valid\n", "\(run.errors)", sourceLocation: sourceLocation)
    }

    /// Each predicate must be met by some frame after the one that met the predicate before it.
    private func expectInOrder(
        _ expected: [(Frame) -> Bool], in frames: [Frame], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        var rest = frames[...]
        for (number, matches) in expected.enumerated() {
            guard let index = rest.firstIndex(where: matches) else {
                let listing = frames.map { "\($0.language ?? "") \($0.symbol ?? "?") \($0.file ?? $0.module ?? "")" }
                Issue.record(
                    "frame \(number) of the expected order is missing in:\n\(listing.joined(separator: "\n"))",
                    sourceLocation: sourceLocation)
                return
            }
            rest = rest[(index + 1)...]
        }
    }
}
