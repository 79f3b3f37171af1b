// Programs of Rust under `granite-crash run`: a panic is told where it happens, whether the process dies of it or not, and the exit is
// what it is without. Separate because it needs a Rust compiler, or a server that is written in Rust.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct RunPanicTests {
    private static let hasRust = CrashRun.isInPath("rustc")

    private func compiled(_ source: String, _ options: [String], in folder: TemporaryDirectory) async throws -> String {
        try folder.write(source, to: "order.rs")
        let program = folder.file("order").path
        let result = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/env"),
            ["rustc", "-g", "-o", program, folder.file("order.rs").path] + options, limit: 120)
        try #require(result.ending == .code(0), "\(result.errors)")
        return program
    }

    private static let source = """
        #[inline(never)]
        fn find_order(number: usize) -> u32 { let orders = vec![7u32]; orders[number] }
        fn main() { println!("{}", find_order(std::env::args().count() + 3)); }
        """

    @Test(.enabled(if: hasRust, "no rustc in PATH"))
    func aPanicThatUnwindsIsReportedAndTheExitCodeStays() async throws {
        let folder = try TemporaryDirectory()
        let program = try await compiled(Self.source, [], in: folder)
        let result = try await CrashRun.run([program], folder: folder)
        #expect(result.ending == .code(101))
        #expect(result.reports.map(\.kind) == [.panic])
        let report = try #require(result.reports.first)
        #expect(report.diagnosis?.category == "panic")
        #expect(report.crashedThread?.frames?.contains { $0.symbol?.contains("find_order") == true } == true)
        #expect(report.reason?.contains("find_order") == true, "\(report.reason ?? "")")
    }

    @Test(.enabled(if: hasRust, "no rustc in PATH"))
    func aPanicThatAbortsIsReportedAsTheDeath() async throws {
        let folder = try TemporaryDirectory()
        let program = try await compiled(Self.source, ["-C", "panic=abort"], in: folder)
        let result = try await CrashRun.run([program], folder: folder)
        #expect(result.ending == .signal(SIGABRT))
        #expect(result.reports.map(\.kind) == [.signal])
        let report = try #require(result.reports.first)
        #expect(report.signal?.name == "SIGABRT")
        #expect(report.crashedThread?.frames?.contains { $0.symbol?.contains("find_order") == true } == true)
        #expect(report.reason?.contains("panicked") == true, "\(report.reason ?? "")")
    }

    /// Granian 2.8 unwraps the status code that an application gives: one that is none aborts its worker, and Granian starts another.
    @Test(.enabled(if: TestPython.has("granian"), "the tests' Python has no granian"))
    func graniansWorkerThatPanicsIsReportedAndReplaced() async throws {
        let folder = try TemporaryDirectory()
        try folder.write(
            """
            import os
            def app(environ, start_response):
                start_response("1 None" if environ["PATH_INFO"] == "/panic" else "200 OK", [("Content-Type", "text/plain")])
                return [str(os.getpid()).encode()]
            """, to: "odd.py")
        let python = URL(fileURLWithPath: try #require(TestPython.path))
        let granian = python.deletingLastPathComponent().appendingPathComponent("granian").path
        // Granian takes no port 0.
        let free = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
        let port = try await Command.run(python, ["-c", free]).output.trimmingCharacters(in: .whitespacesAndNewlines)
        let run = try CrashRun(
            [
                granian, "--interface", "wsgi", "--workers", "1", "--host", "127.0.0.1", "--port", port,
                "--respawn-failed-workers", "odd:app",
            ], folder: folder, directory: folder.url)
        func get(_ target: String) async throws -> String {
            try await Command.run(
                URL(fileURLWithPath: "/usr/bin/curl"), ["-s", "-m", "10", "http://127.0.0.1:\(port)\(target)"]
            ).output
        }
        var first = ""
        #expect(
            try await Command.eventually {
                first = try await get("/")
                return Int(first) != nil
            }, "\(run.command.standardError)")
        _ = try await get("/panic")
        #expect(try await Command.eventually { try run.reports().count == 1 })
        let report = try #require(try run.reports().first)
        #expect(report.process?.pid.map { "\($0)" } == first)
        #expect(report.signal?.name == "SIGABRT")
        #expect(report.reason?.contains("http.rs:") == true, "\(report.reason ?? "")")
        #expect(
            try await Command.eventually {
                let second = try await get("/")
                return Int(second) != nil && second != first
            })
        run.command.send(signal: SIGTERM)
        let result = try await run.finish()
        #expect(result.ending == .code(0))
        #expect(result.reports.count == 1)
    }
}
