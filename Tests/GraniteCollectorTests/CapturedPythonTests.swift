// A crash under Python code, captured by the real handler, read by the real collector over the memory socket.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct CapturedPythonTests {
    static let script = """
        import ctypes, threading, time
        begun = threading.Event()
        def sleeper():
            begun.set()
            time.sleep(1000)
        threading.Thread(target=sleeper, daemon=True).start()
        begun.wait()
        class View:
            def crash(self, address):
                return ctypes.string_at(address)
        def outer():
            return sorted([0], key=lambda address: View().crash(address))
        outer()
        """

    /// Versions that have `Py_Version`, which the small worker asks for, and a shared library.
    static let pythons = PythonInstallation.all.filter { $0.minor >= 11 && library(of: $0) != nil }

    private static func library(of python: PythonInstallation) -> String? {
        let prefix = python.executable.deletingLastPathComponent().deletingLastPathComponent()
        return ["lib", "lib/x86_64-linux-gnu", "lib64"]
            .map { prefix.appendingPathComponent($0).appendingPathComponent("libpython3.\(python.minor).so.1.0").path }
            .first(where: FileManager.default.fileExists)
    }

    @Test(arguments: pythons) func crashUnderPythonIsOneStackWithSourceLines(_ python: PythonInstallation) async throws
    {
        let report = try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            try supervisor.directory.write(Self.script, to: "app.py")
            let program = try Self.compile(into: supervisor.directory)
            let worker = try supervisor.spawnWorker(
                program: program, [Self.library(of: python) ?? "", supervisor.directory.file("app.py").path])
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            try supervisor.reap(worker)
            return try supervisor.receiveReport().report
        }
        let crashed = try #require(report.threads?.first)
        let frames = crashed.frames ?? []
        let readable =
            "\(frames.map { ($0.kind, $0.symbol ?? "?") }) \(crashed.note ?? "") \(report.capture?.errors ?? [])"
        #expect(frames.first?.symbol?.contains("strlen") == true, "\(readable)")
        let names = frames.filter { $0.kind == .python }.compactMap {
            $0.symbol?.split(separator: ".").last.map(String.init)
        }
        #expect(names == ["string_at", "crash", "<lambda>", "outer", "<module>", "<module>"], "\(readable)")
        #expect(crashed.unmergedPythonFrames == nil, "\(readable)")
        #expect(crashed.holdsGIL == true)
        let view = try #require(frames.first { $0.symbol?.hasSuffix("crash") == true })
        #expect(
            view.source?.contains { $0.text == "        return ctypes.string_at(address)" && $0.line == view.line }
                == true)
        #expect(view.inApp == true)
        #expect(
            report.reason?.hasPrefix(
                "strlen read address 0x0: a null pointer that Python passed to ctypes.string_at in ") == true,
            "\(report.reason ?? "")")
        let other = try #require(report.threads?.last)
        #expect(other.frames?.contains { $0.kind == .python && $0.symbol == "sleeper" } == true)
        #expect(other.holdsGIL == false)
        #expect(report.capture?.incomplete == false, "\(report.capture?.errors ?? [])")
    }

    private static func compile(into directory: TemporaryDirectory) throws -> URL {
        let program = directory.file("python_worker")
        let core = BuildProducts.checkout.appendingPathComponent("Sources/CGraniteCapture")
        let sources = try FileManager.default.contentsOfDirectory(atPath: core.path).filter { $0.hasSuffix(".c") }
        let fixture = BuildProducts.checkout.appendingPathComponent(
            "Tests/GraniteCollectorTests/Fixtures/python_worker.c")
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments =
            [
                "clang", "-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-I\(core.path)/include", "-o",
                program.path, fixture.path,
            ]
            + sources.map { core.appendingPathComponent($0).path } + ["-ldl", "-lpthread"]
        try compiler.run()
        compiler.waitUntilExit()
        #expect(compiler.terminationStatus == 0)
        return program
    }
}
