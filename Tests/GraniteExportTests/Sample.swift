// Reports as the collector makes them, small.

import GraniteReport

enum Sample {
    static let libc = "/usr/lib/x86_64-linux-gnu/libc.so.6"
    static let libffi = "/usr/lib/x86_64-linux-gnu/libffi.so.8"
    static let ctypes = "/usr/lib/python3.11/lib-dynload/_ctypes.cpython-311-x86_64-linux-gnu.so"
    static let libpython = "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0"
    static let granite = "/usr/bin/granite"
    static let flask = "/srv/shop/.venv/lib/python3.11/site-packages/flask/app.py"

    static func native(
        _ symbol: String?, _ module: String, offset: UInt64? = nil, file: String? = nil, line: Int? = nil,
        language: String = "C"
    ) -> Frame {
        var frame = Frame(kind: .native)
        frame.symbol = symbol
        frame.module = module
        frame.offset = offset.map(Address.init)
        frame.file = file
        frame.line = line
        frame.language = language
        frame.trust = .cfi
        return frame
    }

    static func swift(_ symbol: String, _ file: String, _ line: Int) -> Frame {
        native(symbol, granite, file: "/build/granite/Sources/\(file)", line: line, language: "Swift")
    }

    static func python(_ symbol: String, _ file: String, _ line: Int, source: [String] = []) -> Frame {
        var frame = Frame(kind: .python)
        frame.symbol = symbol
        frame.file = file
        frame.line = line
        frame.language = "Python"
        frame.inApp = !source.isEmpty
        frame.source =
            source.isEmpty
            ? nil
            : source.enumerated().map { Frame.SourceLine(line: line - source.count + 1 + $0.offset, text: $0.element) }
        return frame
    }

    static func thread(_ tid: Int, _ name: String, state: String? = nil, crashed: Bool = false, _ frames: [Frame] = [])
        -> ThreadReport
    {
        var thread = ThreadReport(tid: tid)
        thread.name = name
        thread.state = state
        thread.crashed = crashed
        thread.frames = frames
        return thread
    }

    /// What all reports of the shop's worker 2 have.
    static func worker(_ kind: CrashReport.Kind, reason: String) -> CrashReport {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.kind = kind
        report.reason = reason
        report.time = "2026-11-24T13:40:12.345Z"
        report.process = ProcessInfo()
        report.process?.pid = 4711
        report.process?.directory = "/srv/shop"
        report.worker = WorkerInfo()
        report.worker?.slot = 2
        report.worker?.uptimeSeconds = 192.4
        report.worker?.requestsServed = 18_204
        return report
    }

    static func died(of signal: String, _ report: CrashReport) -> CrashReport {
        var report = report
        report.signal = SignalInfo()
        report.signal?.name = signal
        report.process?.exit = ExitStatus()
        report.process?.exit?.signal = signal
        report.worker?.respawnedAs = 4790
        report.worker?.respawnMilliseconds = 38.2
        return report
    }

    static func request(_ target: String, id: String = "7f3c9a") -> RequestInfo {
        var request = RequestInfo()
        request.method = "GET"
        request.target = target
        request.id = id
        request.ageMilliseconds = 2.1
        return request
    }

    static func nullPointer() -> CrashReport {
        var report = died(
            of: "SIGSEGV",
            worker(.signal, reason: "strlen read address 0x0: a null pointer that Python passed to ctypes.string_at."))
        report.diagnosis = Diagnosis(
            category: .nullDereference, confidence: .certain,
            evidence: ["si_addr 0x0", "vmovdqu (%rdi) with rdi = 0x0"])
        report.request = request("/crash/null?customer=7")
        report.requests = [request("/crash/null?customer=7"), request("/slow", id: "81d0")]
        report.fingerprint = Fingerprint(version: 1, hash: "5e1a5e1a5e1a5e1a", inputs: [])
        var crashed = thread(
            4715, "python-1", state: "crashed", crashed: true,
            [
                native("__strlen_evex", libc, offset: 0x15b2a0),
                native("z_get", ctypes, file: "/usr/src/python3.11/Modules/_ctypes/cfield.c", line: 1312),
                native("ffi_call_unix64", libffi, offset: 0x7e2e), native("_PyObject_MakeTpCall", libpython),
                native("_PyEval_EvalFrameDefault", libpython),
                python("string_at", "/usr/lib/python3.11/ctypes/__init__.py", 519),
                python(
                    "native_crash", "/srv/shop/app.py", 14,
                    source: ["def native_crash(address):", "    return ctypes.string_at(address)"]),
                python(
                    "crash_null", "/srv/shop/app.py", 31, source: ["    # deep\tinside", "    return native_crash(0)"]),
                python("Flask.dispatch_request", flask, 880), python("Flask.wsgi_app", flask, 1511),
                native("_PyEval_Vector", libpython),
                swift(
                    "GraniteWSGI.WSGIApplication.call(_: GraniteExchange.Request, environ: Swift.Dictionary<Swift.String, Swift.Int>) throws -> ()",
                    "GraniteWSGI/WSGIApplication.swift", 88),
                swift("WorkerCommand.run()", "granite/WorkerCommand.swift", 131),
                native("partial apply for closure #1", granite, language: "Swift"),
                native("start_thread", libc, offset: 0x891f5), native("__clone3", libc, offset: 0x10989c),
            ])
        crashed.holdsGIL = true
        report.threads =
            [crashed]
            + (0..<8).map {
                thread(4716 + $0, "pool-\($0)", state: "idle", [native("epoll_wait", libc, offset: 0x10a2b0)])
            }
            + (0..<2).map {
                thread(
                    4730 + $0, "python-\($0 + 2)", state: "waiting for the GIL",
                    [native("take_gil", libpython, offset: 0x1)])
            }
            + [
                thread(
                    4711, "granite", state: "event loop", [swift("EventLoop.turn()", "GraniteHTTP/EventLoop.swift", 93)]
                )
            ]
        report.modules = [libc, libffi, ctypes].map {
            var module = ModuleInfo()
            module.path = $0
            module.debug = $0 == libffi ? "missing" : "found"
            return module
        }
        return report
    }

    static func overflow() -> CrashReport {
        var report = died(of: "SIGSEGV", worker(.signal, reason: "The stack of thread \"recursion\" is used up."))
        var crashed = thread(
            4801, "recursion", crashed: true,
            [
                native("ffi_call_unix64", libffi, offset: 0x7e2e), native("_PyEval_EvalFrameDefault", libpython),
                python(
                    "descend", "/srv/shop/app.py", 70, source: ["def descend(depth):", "    return descend(depth + 1)"]),
                native("closure_fcn", ctypes, offset: 0x9d20),
                python("Thread.run", "/usr/lib/python3.11/threading.py", 975),
                native("thread_run", libpython), native("start_thread", libc),
            ])
        crashed.folded = ThreadReport.FoldedCycle(start: 0, length: 4, repeats: 4091)
        report.threads = [crashed]
        report.diagnosis = Diagnosis(
            category: .stackOverflow, confidence: .certain,
            evidence: ["si_addr 0x7f12deadbeef is in the guard page of thread 4801"])
        return report
    }

    static func abort() -> CrashReport {
        var report = died(of: "SIGABRT", worker(.signal, reason: "abort was called: free(): invalid pointer"))
        report.diagnosis = Diagnosis(
            category: .heapCorruption, confidence: .certain, evidence: ["__abort_msg \"free(): invalid pointer\""])
        report.threads = [
            thread(
                4715, "python-1", crashed: true,
                [
                    native("__pthread_kill_implementation", libc, file: "./nptl/pthread_kill.c", line: 44),
                    native("raise", libc, file: "../sysdeps/posix/raise.c", line: 26),
                    native("abort", libc, file: "./stdlib/abort.c", line: 79),
                    native("malloc_printerr", libc),
                    native(
                        "std::vector<int, std::allocator<int> >::~vector()", "/srv/shop/_fast.so", offset: 0x1120,
                        language: "C++"),
                    native(nil, "/srv/shop/_fast.so", offset: 0x1200),
                ])
        ]
        report.logTail = ["free(): invalid pointer"]
        return report
    }

    static func unraisable() -> CrashReport {
        var report = worker(
            .unraisable, reason: "Connection.__del__ raised RuntimeError on a thread that does not own the object.")
        report.request = request("/drop")
        var janitor = thread(
            4799, "janitor", crashed: true,
            [
                native("gc_collect_main", libpython, file: "Modules/gcmodule.c", line: 1281),
                python("collect", "/srv/shop/app.py", 112, source: ["    gc.collect()"]),
            ])
        janitor.holdsGIL = true
        report.threads = [janitor]
        report.dropSite = DropSite()
        report.dropSite?.subject = "<function Connection.__del__ at 0x7f12a0>"
        report.dropSite?.message = "RuntimeError: Connection is unsendable, but is being dropped on another thread"
        return report
    }

    static func dropSite() -> CrashReport {
        var report = worker(
            .dropSite, reason: "Session belongs to thread \"main\" but was released on thread \"pool-3\".")
        report.threads = [
            thread(
                4719, "pool-3", crashed: true,
                [
                    swift("ThreadBound.deinit", "GraniteCapture/ThreadBound.swift", 51),
                    swift("Job.finish()", "App/Job.swift", 20),
                ])
        ]
        report.dropSite = DropSite()
        report.dropSite?.subject = "Session"
        report.dropSite?.ownerTid = 4711
        report.dropSite?.ownerName = "main"
        report.dropSite?.created = "2026-11-24T13:40:11.900Z"
        report.dropSite?.creationFrames = [
            swift("Session.init()", "App/Session.swift", 9), swift("main", "App/Main.swift", 3),
        ]
        return report
    }

    /// An object that is bound to its thread, released by the collector of cycles on another.
    static func story() -> CrashReport {
        let granian = "/srv/shop/.venv/lib/python3.11/site-packages/granian/_granian.cpython-311-x86_64-linux-gnu.so"
        var report = worker(
            .dropSite,
            reason:
                "_granian::wsgi::io::WSGIProtocol was dropped on thread \"blocking-3\" (4719) during garbage collection of generation 2, while app.py:11 in lookup ran (an innocent line); it belongs to thread \"blocking-1\" (4711)."
        )
        report.worker = nil
        report.process?.program = "granian"
        report.threads = [
            thread(
                4719, "blocking-3", crashed: true,
                [
                    native(nil, granian, offset: 0x1120, language: "Rust"), native("gc_collect_main", libpython),
                    python("lookup", "/srv/shop/app.py", 11, source: ["    try: raise Boom(k)"]),
                    python("_runner", "/srv/shop/.venv/lib/python3.11/site-packages/granian/wsgi.py", 64),
                ])
        ]
        var site = DropSite()
        site.subject = "_granian::wsgi::io::WSGIProtocol"
        site.message =
            "RuntimeError: _granian::wsgi::io::WSGIProtocol is unsendable, but is being dropped on another thread (/srv/shop/app.py:11 in lookup)"
        site.ownerTid = 4711
        site.ownerName = "blocking-1"
        site.ownerState = "ended"
        site.created = "2026-11-24T13:40:11.900Z"
        site.creationFrames = [native(nil, granian, offset: 0x2240, language: "Rust"), native("start_thread", libc)]
        site.type = "granian._granian.WSGIProtocol"
        site.hook = "unraisable"
        site.collector = "running"
        site.generation = 2
        site.referrers = [TypeCount(type: "builtins.frame", count: 1)]
        site.referrersOf = "another"
        site.heldBy = [
            "frame lookup (app.py:12), local err", "app.Boom, its traceback", "traceback, its frame",
            "frame lookup (app.py:12) again, its caller", "frame _runner (granian/wsgi.py:64), local proto",
        ]
        site.living = 36_161
        report.dropSite = site
        report.diagnosis = Diagnosis(
            category: .threadAffinity, confidence: .certain,
            evidence: [
                "sys.unraisablehook was called on thread \"blocking-3\" (4719): PyO3 cannot raise an error where an object is released, and leaks what it held",
                "the garbage collector was running on that thread: the line it interrupted is innocent",
                "memory grew by 47 MiB/s over 4 s",
                "Granian before 2.1.2 has this bug: upgrade it; until then run it with --blocking-threads 1, so that one thread makes and releases these objects",
            ])
        var occasion = CountedOccasion()
        occasion.kind = .dropSite
        occasion.message = "RuntimeError: _granian::wsgi::io::WSGIProtocol is unsendable"
        occasion.count = 21_117
        occasion.captured = 1
        occasion.overSeconds = 3.9
        report.occasions = [occasion]
        return report
    }
}
