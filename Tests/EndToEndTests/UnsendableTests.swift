// A wheel of PyPI's whose objects are bound to their threads, under `granite serve`: the drop and the use on another one are reported.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct UnsendableTests {
    private func serve() async throws -> GraniteServer {
        try #require(TestPython.has("y_py") && TestPython.has("flask"), "y-py or Flask is missing: run Tests/run")
        return try await GraniteServer("unsendable:app", in: GraniteServer.fixtures)
    }

    /// Asks, and waits for the report that a hook's word leads to.
    private func report(
        _ server: GraniteServer, after target: String, status: Int, hook: String = "unraisable"
    ) async throws -> CrashReport {
        #expect(await server.get(target)?.status == status)
        var found: CrashReport?
        _ = await Command.eventually(limit: 40) {
            let ids = server.events("crash.reported").compactMap { $0.string("crash.id") }
            found = ids.lazy.compactMap { try? server.report($0) }.first { $0.dropSite?.hook == hook }
            return found != nil
        }
        return try #require(found, "no report by \(hook): \(server.events("crash.reported").map(\.line))")
    }

    @Test func aDropOnAnotherThreadIsADropSiteAndTheRequestIsAnswered() async throws {
        let server = try await serve()
        let report = try await report(server, after: "/drop", status: 200)
        #expect(report.kind == .dropSite)
        #expect(report.diagnosis?.category == "thread_affinity")
        #expect(report.dropSite?.subject == "y_py::y_doc::YDoc")
        #expect(
            report.dropSite?.message
                == "RuntimeError: y_py::y_doc::YDoc is unsendbale, but is dropped on another thread")
        #expect(report.dropSite?.collector == nil)
        let frames = try #require(report.threads?.first?.frames)
        // From the wheel's own code to the line that let go, and nothing of the capture above.
        let symbols = frames.map { $0.symbol ?? "?" }
        #expect(!symbols.contains { $0.hasPrefix("granite_hooks") || $0.hasPrefix("granite_capture") }, "\(symbols)")
        let wheel = try #require(frames.firstIndex { $0.module?.contains("y_py") == true }, "\(symbols)")
        let line = try #require(frames.firstIndex { $0.kind == .python && $0.symbol == "innocent" }, "\(symbols)")
        #expect(wheel < line)
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }

    @Test func aDropByTheGarbageCollectorNamesItAndItsGeneration() async throws {
        let server = try await serve()
        let report = try await report(server, after: "/collect", status: 200)
        #expect(report.kind == .dropSite)
        #expect(report.dropSite?.collector == "running")
        #expect(report.dropSite?.generation == 2)
        #expect(report.threads?.first?.frames?.contains { $0.kind == .python && $0.symbol == "collect" } == true)
        #expect(await server.stop() == .code(0))
    }

    @Test func theSameDropAgainIsOnlyCounted() async throws {
        let server = try await serve()
        _ = try await report(server, after: "/drop", status: 200)
        for _ in 0..<20 { #expect(await server.get("/drop")?.status == 200) }
        // Any other report tells of them.
        let report = try await report(server, after: "/use", status: 500, hook: "rust")
        let drops = report.occasions?.filter { $0.message?.contains("is dropped on another thread") == true } ?? []
        #expect(drops.compactMap(\.count).reduce(0, +) == 21)
        #expect(await server.stop() == .code(0))
    }

    @Test func aUseOnAnotherThreadIsADropSiteAlthoughFlaskLetsItPass() async throws {
        let server = try await serve()
        let report = try await report(server, after: "/use", status: 500, hook: "rust")
        #expect(report.kind == .dropSite)
        #expect(report.diagnosis?.category == "thread_affinity")
        #expect(report.dropSite?.subject == "y_py::y_doc::YDoc")
        let message = try #require(report.dropSite?.message)
        #expect(message.hasPrefix("PanicException: y_py::y_doc::YDoc is unsendable, but sent to another thread ("))
        #expect(message.hasSuffix("unsendable.py:43 in read)"))
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }

    @Test func anyOtherPanicOfTheWheelIsAPanic() async throws {
        let server = try await serve()
        let report = try await report(server, after: "/panic", status: 500, hook: "rust")
        #expect(report.kind == .panic)
        #expect(report.diagnosis?.category == "panic")
        #expect(
            report.reason?.contains("panicked on") == true
                && report.reason?.contains("Couldn't remove 7 elements from an array.") == true,
            "\(report.reason ?? "")")
        #expect(report.dropSite?.message?.hasSuffix("unsendable.py:56 in panic)") == true)
        #expect(server.events("worker.exited").isEmpty)
        #expect(await server.stop() == .code(0))
    }
}
