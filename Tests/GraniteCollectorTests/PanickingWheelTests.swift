// A panic inside an extension of Python, from its place to the report. Separate from other panics: it needs a wheel.

import Foundation
import GraniteReport
import TestSupport
import Testing

private enum Wheel {
    /// The tests' Python, if it has y-py.
    static let python: String? = {
        guard let python = Foundation.ProcessInfo.processInfo.environment["GRANITE_TEST_PYTHON"] else { return nil }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["-c", "import y_py"]
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        process.waitUntilExit()
        return process.terminationStatus == 0 ? python : nil
    }()
}

/// A wheel that panics: PyO3 makes an exception of it, and what was on the stack is lost. Needs y-py 0.6 in the tests' Python.
@Suite(.timeLimit(.minutes(5)), .enabled(if: Wheel.python != nil, "y-py is not installed"))
struct PanickingWheelTests {
    private static let program = """
        import ctypes, sys, sysconfig
        class Options(ctypes.Structure):
            _fields_ = [("page", ctypes.c_int), ("socket", ctypes.c_int)] + [
                (name, ctypes.c_uint32) for name in ("level", "park", "serve")] + [
                (name, ctypes.c_size_t) for name in ("stack", "crashed")]
        capture = ctypes.CDLL(None)
        assert capture.granite_capture_install(ctypes.byref(Options(10, 11, 2, 20000, 20000, 0, 0))) == 0
        for library in (None, sysconfig.get_config_var("LDLIBRARY")):
            try:
                runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(library), "_PyRuntime"))
                break
            except (ValueError, OSError):
                pass
        capture.granite_capture_set_python(ctypes.c_uint64(runtime), ctypes.c_uint32(sys.hexversion))
        import y_py
        document = y_py.YDoc()
        text = document.get_text("t")
        def delete_too_much(transaction):
            text.delete_range(transaction, 5, 10)
        try:
            with document.begin_transaction() as transaction:
                delete_too_much(transaction)
        except BaseException as error:
            assert type(error).__name__ == "PanicException"
            sys.exit(0)
        sys.exit(1)
        """

    @Test func aPanicInAWheelIsReportedWithThePythonThatCalledIt() async throws {
        let run = try await ThrowingProgram.run(try #require(Wheel.python), ["-c", Self.program])
        #expect(run.exitCode == 0)
        let report = try #require(run.report)
        #expect(report.kind == .panic)
        let frames = report.threads?.first?.frames ?? []
        #expect(frames.contains { $0.kind == .native && $0.module?.contains("y_py") == true })
        #expect(frames.contains { $0.kind == .python && $0.symbol == "delete_too_much" })
        #expect(report.reason?.contains(" panicked") == true, "\(report.reason ?? "")")
    }
}
