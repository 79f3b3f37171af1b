import Foundation
import GraniteSupervisor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct WorkerEnvironmentTests {
    @Test func aWorkerFindsExactlyTheAgreedDescriptors() async throws {
        // A descriptor that somebody left open without close-on-exec must not reach the worker.
        let stray = dup(0)
        defer { close(stray) }
        try await TestServer.run {
            $0.scripts = ["*": ["descriptors", "ready", "serve"]]
        } _: { server in
            let line = await server.recorder.first { if case .workerOutput(_, let line) = $0 { line } else { nil } }
            #expect(line == "open: 0 1 2 3 4 5 6 7 8")
        }
    }

    @Test func outputOfAnyBytesBecomesWholeLinesOfText() async throws {
        try await TestServer.run {
            $0.scripts = ["1.1": ["hostile", "ready", "exit 7"]]
        } _: { server in
            _ = try await server.recorder.exited(1)
            let lines = server.recorder.events.compactMap {
                if case .workerOutput(_, let line) = $0 { line } else { nil }
            }
            #expect(lines.count == 7)
            #expect(lines[0].hasPrefix("\u{FFFD}\u{FFFD}\"\\\u{0}"))
            #expect(lines[1] == "")
            #expect(lines[2...4].map(\.utf8.count) == [16_384, 16_384, 40_000 - 2 * 16_384])
            #expect(lines[5...] == [#"{"event":"forged"}"#, "no newline"])
        }
    }

    @Test func outputOfAChildThatOutlivesTheWorkerIsStillRelayed() async throws {
        try await TestServer.run {
            $0.scripts = ["1.1": ["leave-child", "ready", "exit 7"]]
        } _: { server in
            _ = try await server.recorder.exited(1)
            let line = await server.recorder.first {
                if case .workerOutput(let worker, let line) = $0 { "\(worker.generation) \(line)" } else { nil }
            }
            #expect(line == "1 from the child")
        }
    }
}
