// Objects that outlive their request, threads, and leaks.

import Foundation
import Testing
import WSGIProbe

@Suite(.timeLimit(.minutes(5)))
struct LifetimeTests {
    @Test(arguments: Python.installed)
    func objectsKeptBeyondTheirRequestRaiseAndMayDieOnAnotherThread(_ python: Python) async throws {
        let run = try await Probe.serve(
            python,
            [
                ScriptedRequest("/keep") { $0.body = "secret" }, ScriptedRequest("/use_kept") { $0.body = "other" },
                ScriptedRequest("/several"),
            ])
        let read = "ValueError: wsgi.input was read after its request had ended"
        #expect(
            run.answers[1].json == "[\"\(read)\",\"\(read)\",\"\(read)\","
                + "\"RuntimeError: start_response was called after its request had ended\","
                + "\"RuntimeError: write was called after its request had ended\",false]")
        #expect(run.answers[2].text == "abc")
    }

    @Test func startResponseBelongsToTheRequestsThread() async throws {
        let run = try await Probe.serve(try Python.usual, [ScriptedRequest("/other_thread")])
        #expect(
            run.answers[0].json == #"["RuntimeError: start_response was called on another thread than its request's"]"#)
    }

    @Test(arguments: Python.installed)
    func threadLocalsLiveOnBetweenRequests(_ python: Python) async throws {
        let run = try await Probe.serve(
            python, [0, 1, 0, 2, 1, 0].map { thread in ScriptedRequest("/thread_local") { $0.thread = thread } })
        #expect(run.answers.map(\.json) == ["[1,true]", "[1,false]", "[2,true]", "[1,false]", "[2,false]", "[3,true]"])
    }

    @Test(arguments: Python.installed)
    func noFrameOfTheServerIsBelowTheApplication(_ python: Python) async throws {
        let run = try await Probe.serve(
            python, [ScriptedRequest("/frames"), ScriptedRequest("/frames") { $0.thread = 1 }])
        #expect(run.answers.map(\.json) == [#"["frames","app"]"#, #"["frames","app"]"#])
    }

    /// Twenty thousand requests of every kind, and the seed's pattern; what stays is what the first half left.
    @Test(arguments: Python.installed)
    func nothingLeaks(_ python: Python) async throws {
        let kinds = [
            "/several", "/generator", "/caught", "/keep", "/breaks", "/file?buffered", "/exits?exit", "/keywords",
            "/read_all", "/live_objects",
        ]
        let requests = kinds.map { kind in ScriptedRequest(kind) { $0.body = "0123456789" } }
        let short = try await Probe.serve(python, requests, options: ["--repeat", "200"])
        let long = try await Probe.serve(python, requests, options: ["--repeat", "2000"])
        let few = try #require(short.answers.last?.value(as: Int.self))
        let many = try #require(long.answers.last?.value(as: Int.self))
        #expect(abs(many - few) < 100)
        let resident = long.lines.compactMap { line in
            if case .residentBytes(let bytes) = line { return bytes }
            return nil
        }
        try #require(resident.count == 2)
        #expect(resident[1] - resident[0] < 4 << 20, "10,000 more requests took \(resident[1] - resident[0]) bytes")
    }
}
