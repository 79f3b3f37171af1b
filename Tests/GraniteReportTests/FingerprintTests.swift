// Which reports are the same bug, and what a summary names.

import GraniteReport
import Testing

struct FingerprintTests {
    @Test func theHashIsTheSameInEveryProcessAndRelease() {
        let print = Fingerprint.make(for: Stack.nullPointer())
        #expect(
            print.inputs == [
                "signal", "SIGSEGV", "strlen", "z_get", "ffi_call", "string_at@ctypes/__init__.py",
                "native_crash@app.py", "crash_null@app.py",
                "Flask.dispatch_request@app.py", "Flask.wsgi_app@app.py",
            ])
        #expect(print.hash == "2b63faeca17992c5")
        #expect(print.version == 1)
    }

    @Test func addressesLinesProcessorsPathsAndMachineryDoNotCount() {
        let one = Stack.nullPointer()
        var other = Stack.nullPointer()
        other.id = "01JDF3T8Q2M4V6X8ZB0D2F4H6M"
        other.time = "2027-01-01T00:00:00.000Z"
        other.process?.pid = 99
        other.threads?[0].frames = Stack.nullPointer().threads?[0].frames?.map { frame in
            var frame = frame
            frame.address = frame.address.map { Address($0.value &+ 4096) }
            frame.line = frame.line.map { $0 + 10 }
            frame.file = frame.file.map { "/elsewhere" + $0 }
            if frame.symbol == "__strlen_evex" { frame.symbol = "__strlen_avx2" }
            if frame.symbol == "_PyEval_EvalFrameDefault" { frame.symbol = "_PyEval_EvalFrameDefault.cold" }
            return frame
        }
        #expect(Fingerprint.make(for: other) == Fingerprint.make(for: one))
    }

    @Test func signalAndFunctionsAndTheirOrderCount() {
        let hash = Fingerprint.make(for: Stack.nullPointer()).hash
        var signal = Stack.nullPointer()
        signal.signal?.name = "SIGBUS"
        var function = Stack.nullPointer()
        function.threads?[0].frames?[0].symbol = "__strcpy_evex"
        var order = Stack.nullPointer()
        order.threads?[0].frames?.swapAt(0, 1)
        var kind = Stack.nullPointer()
        kind.kind = .dump
        let others = [signal, function, order, kind].map { Fingerprint.make(for: $0).hash }
        #expect(Set(others + [hash]).count == 5)
    }

    @Test func uncaughtExceptionsAndPanicsThatPythonCaughtAreToldApartByTheirMessages() {
        for kind in [CrashReport.Kind.uncaughtException, .panic] {
            let hashes = [
                "KeyError: 1 (app.py:3 in main)", "KeyError: 2 (app.py:4 in main)", "ValueError: 1 (app.py:3 in main)",
            ].map { message in
                var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
                report.kind = kind
                var site = DropSite()
                site.message = message
                report.dropSite = site
                return Fingerprint.make(for: report).hash
            }
            #expect(hashes[0] == hashes[1])
            #expect(hashes[0] != hashes[2])
        }
    }

    @Test func anAbortIsNamedByItsCallerAndNotByLibc() {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.kind = .signal
        var thread = ThreadReport(tid: 1)
        thread.frames = [
            "__pthread_kill_implementation", "raise", "abort", "check_invariants", "main", "__libc_start_call_main",
            "_start",
        ].map {
            Stack.native($0, "/srv/tool")
        }
        report.threads = [thread]
        #expect(Fingerprint.make(for: report).inputs == ["signal", "abort", "check_invariants", "main"])
        #expect(report.topFrames == ["abort", "check_invariants", "main"])
    }

    /// The seed's story: the collector finds the object on whatever stack happens to run it.
    @Test func aDropSiteIsGroupedByItsObjectAndNotByWhereTheCollectorRan() {
        var one = Stack.nullPointer()
        one.kind = .unraisable
        one.signal = nil
        var site = DropSite()
        site.subject = "<Connection object at 0x7f12deadbeef>"
        site.message = "RuntimeError: Connection is unsendable, but is being dropped on another thread"
        one.dropSite = site
        var other = one
        other.dropSite?.subject = "<Connection object at 0x7f9900000010>"
        other.threads?[0].frames?.removeFirst(5)
        #expect(Fingerprint.make(for: one) == Fingerprint.make(for: other))
        other.dropSite?.subject = "<Cursor object at 0x7f9900000010>"
        #expect(Fingerprint.make(for: one) != Fingerprint.make(for: other))
    }

    @Test func exitCodesTellExitsApart() {
        var seven = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        seven.kind = .exit
        seven.process = ProcessInfo()
        seven.process?.exit = ExitStatus()
        seven.process?.exit?.code = 7
        var three = seven
        three.process?.exit?.code = 3
        #expect(Fingerprint.make(for: seven).inputs == ["exit", "exit 7"])
        #expect(Fingerprint.make(for: seven) != Fingerprint.make(for: three))
    }

    @Test func aReportWithNothingInItHasAFingerprintToo() {
        #expect(Fingerprint.make(for: CrashReport(id: "")).inputs == ["unknown"])
    }

    @Test func theSummaryNamesTheInnermostFunctionAndTheApplicationsLines() {
        let summary = Stack.nullPointer().summary(path: "/crashes/1.json")
        #expect(
            summary.top == [
                "strlen", "string_at (ctypes/__init__.py:519)", "native_crash (app.py:14)", "crash_null (app.py:31)",
            ])
        #expect(summary.kind == "signal")
        #expect(summary.complete)
        #expect(summary.report == "/crashes/1.json")
        #expect(CrashReport(id: "x").summary(path: nil).reason == "No reason is known.")
    }
}

enum Stack {
    static func native(_ symbol: String, _ module: String) -> Frame {
        var frame = Frame(kind: .native)
        frame.symbol = symbol
        frame.module = module
        frame.address = Address(0x1000)
        return frame
    }

    static func python(_ symbol: String, _ file: String, _ line: Int, inApp: Bool = false) -> Frame {
        var frame = Frame(kind: .python)
        frame.symbol = symbol
        frame.file = file
        frame.line = line
        frame.inApp = inApp
        return frame
    }

    static func nullPointer() -> CrashReport {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.kind = .signal
        report.signal = SignalInfo()
        report.signal?.name = "SIGSEGV"
        report.process = ProcessInfo()
        report.process?.pid = 4711
        var thread = ThreadReport(tid: 1)
        thread.crashed = true
        thread.frames = [
            native("__strlen_evex", "/lib/x86_64-linux-gnu/libc.so.6"),
            native("z_get", "/usr/lib/python3.11/lib-dynload/_ctypes.so"),
            native("ffi_call", "/lib/x86_64-linux-gnu/libffi.so.8"),
            native("_PyEval_EvalFrameDefault", "/usr/lib/libpython3.11.so.1.0"),
            python("string_at", "/usr/lib/python3.11/ctypes/__init__.py", 519),
            python("native_crash", "/srv/shop/app.py", 14, inApp: true),
            python("crash_null", "/srv/shop/app.py", 31, inApp: true),
            native("_PyEval_Vector", "/usr/lib/libpython3.11.so.1.0"),
            python("Flask.dispatch_request", "/srv/venv/lib/python3.11/site-packages/flask/app.py", 880),
            python("Flask.wsgi_app", "/srv/venv/lib/python3.11/site-packages/flask/app.py", 1478),
            python("too far out", "/srv/venv/lib/python3.11/site-packages/flask/app.py", 1498),
            native("start_thread", "/lib/x86_64-linux-gnu/libc.so.6"),
        ]
        report.threads = [thread]
        return report
    }
}
