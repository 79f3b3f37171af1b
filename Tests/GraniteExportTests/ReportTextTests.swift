// Golden texts: what a person sees of each kind of death, at 80 columns. Whoever changes a text changes it here and looks at it.

import GraniteReport
import Testing

@testable import GraniteExport

struct ReportTextTests {
    /// They have no frames but Python's, and stood as one stack.
    @Test func threadsWhoseFramesCouldNotBeMergedAreToldApart() {
        var report = Sample.nullPointer()
        let threads = [("first", 8), ("second", 9), ("second", 10)].map { name, tid in
            var thread = Sample.thread(tid, "web-\(tid)", state: "idle")
            thread.unmergedPythonFrames = [Sample.python(name, "/srv/shop/app.py", 3)]
            return thread
        }
        report.threads = [Sample.thread(7, "main", crashed: true)] + threads
        var options = ReportText.Options()
        options.threads = true
        let text = ReportText(report, options).rendered
        #expect(text.contains("Thread 8 \"web-8\", idle\n"))
        #expect(text.contains("Thread 9 \"web-9\" and 1 more with the same stack, idle\n"))
        report.threads?[3].holdsGIL = true
        report.threads?[1].unmergedPythonFrames = threads[1].unmergedPythonFrames
        report.threads?[1].note = "Its Python frames did not match."
        #expect(!ReportText(report, options).rendered.contains("with the same stack"))
    }

    @Test func aNullPointerUnderCtypesIsExplainedOnTheFirstScreen() {
        var options = ReportText.Options()
        options.occurrences = Occurrences(count: 3, ordinal: 3, firstTime: "2026-11-24T09:12:00.000Z")
        expectText(
            Sample.nullPointer(),
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2 died of SIGSEGV
                strlen read address 0x0: a null pointer that Python passed to
                ctypes.string_at.
                Serving GET /crash/null?customer=7 for 2.1 ms (request 7f3c9a)
                Ran as pid 4711 for 3 min 12 s, 18,204 requests
                2026-11-24 13:40:12 UTC · replaced by pid 4790 after 38 ms
                Group 5e1a, 3rd time since 09:12

            Thread 4715 "python-1" crashed, holding the GIL
              0 C      __strlen_evex                       libc.so.6+0x15b2a0
              1 C      z_get                               _ctypes/cfield.c:1312
              2 C      ffi_call_unix64                     libffi.so.8+0x7e2e
              5 Python string_at                           ctypes/__init__.py:519
              6 Python native_crash                        app.py:14
                          13  def native_crash(address):
                       →  14      return ctypes.string_at(address)
              7 Python crash_null                          app.py:31
                          30  # deep    inside
                       →  31  return native_crash(0)
              8 Python Flask.dispatch_request              flask/app.py:880
              9 Python Flask.wsgi_app                      flask/app.py:1511
             11 Swift  WSGIApplication.call(_:environ:)    …/WSGIApplication.swift:88
             12 Swift  WorkerCommand.run()                 granite/WorkerCommand.swift:131
                3 frames of the interpreter and 3 of the runtime folded (--all)

            Diagnosis  null dereference, certain: si_addr 0x0; vmovdqu (%rdi) with rdi = 0x0
            Others     11 threads: 8 idle, 2 waiting for the GIL, 1 event loop (--threads)
            In flight  GET /slow for 2.1 ms (request 81d0)
            Symbols    all found but libffi.so.8

            """, options: options)
    }

    @Test func exceptionGarbageCollectorAndLocalsAreToldWhereTheyMatter() {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.kind = .signal
        var frame = Sample.python("view", "/srv/shop/app.py", 14)
        frame.locals = [.init(name: "order", value: "{'id': 7}"), .init(name: "password", value: "[redacted]")]
        var thread = Sample.thread(7, "web-1", crashed: true, [frame])
        var exception = ExceptionInfo()
        exception.type = "shop.Refused"
        exception.message = "no such customer"
        exception.file = "/srv/shop/app.py"
        exception.line = 9
        exception.function = "find"
        exception.state = "handled"
        thread.exception = exception
        report.threads = [thread, Sample.thread(8, "web-2", state: "waiting for the GIL", [])]
        var python = PythonInfo()
        python.gilHolder = 7
        python.gilHeld = true
        python.gilWaiters = [8]
        python.collecting = true
        python.collectedGeneration = 0
        report.python = python
        var options = ReportText.Options()
        options.locals = true
        let text = ReportText(report, options).rendered
        #expect(text.contains("             order = {'id': 7}\n             password = [redacted]\n"))
        #expect(
            text.contains(
                """
                Exception  shop.Refused: no such customer, being handled; raised in find at
                           /srv/shop/app.py:9
                Python     GIL held by this thread; 1 thread waiting for the GIL; garbage
                           collection was running (generation 0)

                """), "\(text)")
        #expect(!ReportText(report).rendered.contains("order ="), "only if asked")
    }

    @Test func aStackOverflowIsFoldedToOneTurn() {
        expectText(
            Sample.overflow(),
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2 died of SIGSEGV
                The stack of thread "recursion" is used up.
                Ran as pid 4711 for 3 min 12 s, 18,204 requests
                2026-11-24 13:40:12 UTC · replaced by pid 4790 after 38 ms

            Thread 4801 "recursion" crashed
              0 C      ffi_call_unix64       libffi.so.8+0x7e2e
              2 Python descend               app.py:70
                          69  def descend(depth):
                       →  70      return descend(depth + 1)
              3 C      closure_fcn           _ctypes.cpython-311-x86_64-linux-gnu.so+0x9d20
                … 4,091 more turns of these 4 frames
              4 Python Thread.run            threading.py:975
                1 frame of the interpreter and 2 of the runtime folded (--all)

            Diagnosis  stack overflow, certain: si_addr 0x7f12deadbeef is in the guard page
                       of thread 4801

            """)
    }

    @Test func anAbortShowsItsMessageAndItsCaller() {
        expectText(
            Sample.abort(),
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2 died of SIGABRT
                abort was called: free(): invalid pointer
                Ran as pid 4711 for 3 min 12 s, 18,204 requests
                2026-11-24 13:40:12 UTC · replaced by pid 4790 after 38 ms

            Thread 4715 "python-1" crashed
              0 C      __pthread_kill_implementation                nptl/pthread_kill.c:44
              1 C      raise                                        sysdeps/posix/raise.c:26
              2 C      abort                                        stdlib/abort.c:79
              3 C      malloc_printerr                              libc.so.6
              4 C++    std::vector<int, std::allocator<int> >::~vector()  _fast.so+0x1120
              5 C      (no symbol)                                  _fast.so+0x1200

            Diagnosis  heap corruption, certain: __abort_msg "free(): invalid pointer"

            Last lines on standard error
                free(): invalid pointer

            """)
    }

    @Test func anUnraisableExceptionNamesObjectMessageAndThread() {
        expectText(
            Sample.unraisable(),
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2: unraisable exception
                Connection.__del__ raised RuntimeError on a thread that does not own the
                object.
                Serving GET /drop for 2.1 ms (request 7f3c9a)
                Runs as pid 4711 for 3 min 12 s, 18,204 requests
                2026-11-24 13:40:12 UTC

            Thread 4799 "janitor" raised it, holding the GIL
              0 C      gc_collect_main       gcmodule.c:1281
              1 Python collect               app.py:112
                       → 112  gc.collect()

            Object     <function Connection.__del__ at 0x7f12a0>
            Message    RuntimeError: Connection is unsendable, but is being dropped on
                       another thread

            """)
    }

    @Test func aDropSiteShowsBothSides() {
        expectText(
            Sample.dropSite(),
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2: drop on wrong thread
                Session belongs to thread "main" but was released on thread "pool-3".
                Runs as pid 4711 for 3 min 12 s, 18,204 requests
                2026-11-24 13:40:12 UTC

            Thread 4719 "pool-3" released it
              0 Swift  ThreadBound.deinit    GraniteCapture/ThreadBound.swift:51
              1 Swift  Job.finish()          App/Job.swift:20

            Object     Session

            Created by thread 4711 "main" at 13:40:11.900 UTC
              0 Swift  Session.init()        App/Session.swift:9
              1 Swift  main                  App/Main.swift:3

            """)
    }

    /// Names come from the program; the line ran over the width.
    @Test func whereAnObjectWasMadeFitsTheWidth() {
        var report = Sample.story()
        report.dropSite?.createdIn = "make_protocol_for_the_connection (granian/workers/wsgi.py:58)"
        var lines = ReportText(report).rendered.split(separator: "\n")
        let first = lines.firstIndex { $0.hasPrefix("Created ") }
        #expect(
            first.map { lines[$0..<($0 + 3)].joined(separator: "\n") } == """
                Created by thread 4711 "blocking-1", which has ended, at 13:40:11.900 UTC in
                        make_protocol_for_the_connection (granian/workers/wsgi.py:58)
                  0 Rust   (no symbol)           _granian.cpython-311-x86_64-linux-gnu.so+0x2240
                """)
        report.dropSite?.createdIn = String(repeating: "x", count: 100_000)
        lines = ReportText(report).rendered.split(separator: "\n")
        #expect(lines.allSatisfy { TerminalText.columns(String($0)) <= 80 })
        #expect(lines.count < 80)
    }

    @Test func theStoryOfADroppedObjectFillsTheScreen() {
        expectText(
            Sample.story(),
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · granian: drop on wrong thread
                _granian::wsgi::io::WSGIProtocol was dropped on thread "blocking-3" (4719)
                during garbage collection of generation 2, while app.py:11 in lookup ran (an
                innocent line); it belongs to thread "blocking-1" (4711).
                Runs as pid 4711
                2026-11-24 13:40:12 UTC

            Thread 4719 "blocking-3" released it
              0 Rust   (no symbol)           _granian.cpython-311-x86_64-linux-gnu.so+0x1120
              1 C      gc_collect_main       libpython3.11.so.1.0
              2 Python lookup                app.py:11
                       →  11  try: raise Boom(k)
              3 Python _runner               granian/wsgi.py:64

            Object     _granian::wsgi::io::WSGIProtocol, in Python
                       granian._granian.WSGIProtocol
            Message    RuntimeError: _granian::wsgi::io::WSGIProtocol is unsendable, but is
                       being dropped on another thread (/srv/shop/app.py:11 in lookup)
            Dropped    by thread 4719 "blocking-3" during garbage collection of generation
                       2: the line that it interrupted is innocent
            Held by    frame lookup (app.py:12), local err
                       → app.Boom, its traceback
                       → traceback, its frame
                       → frame lookup (app.py:12) again, its caller
                       → frame _runner (granian/wsgi.py:64), local proto
                       → another object of the type
            Referrers  1 builtins.frame of another living object of the type
            Living     36,161 objects of the type

            Created by thread 4711 "blocking-1", which has ended, at 13:40:11.900 UTC
              0 Rust   (no symbol)           _granian.cpython-311-x86_64-linux-gnu.so+0x2240
                1 frame of the runtime folded (--all)

            Diagnosis  thread affinity, certain:
                       - sys.unraisablehook was called on thread "blocking-3" (4719): PyO3
                         cannot raise an error where an object is released, and leaks what
                         it held
                       - the garbage collector was running on that thread: the line it
                         interrupted is innocent
                       - memory grew by 47 MiB/s over 4 s
                       - Granian before 2.1.2 has this bug: upgrade it; until then run it
                         with --blocking-threads 1, so that one thread makes and releases
                         these objects
            Counted    21,117 in 3.9 s, 1 reported: RuntimeError:
                       _granian::wsgi::io::WSGIProtocol is unsendable

            """)
    }

    @Test func aLongCycleIsCutAndAllShowsAll() {
        var report = Sample.story()
        report.dropSite?.heldBy = (1...20).map { "app.Node\($0)" }
        let lines = ReportText(report).rendered.split(separator: "\n")
        #expect(lines.contains { $0.hasSuffix("→ … 8 more (--all)") })
        #expect(!lines.contains { $0.hasSuffix("app.Node13") })
        var options = ReportText.Options()
        options.all = true
        #expect(ReportText(report, options).rendered.contains("→ app.Node20\n"))
    }

    @Test func whatIsReportedEveryTimeIsNotCounted() {
        var report = Sample.story()
        report.occasions?[0].count = 1
        #expect(!ReportText(report).rendered.contains("Counted"))
    }

    @Test func anExitWithoutAStackSaysThatItEndedItself() {
        var report = Sample.worker(.exit, reason: "The worker called _exit(7) itself while it served a request.")
        report.process?.exit = ExitStatus()
        report.process?.exit?.code = 7
        report.request = Sample.request("/crash/exit")
        report.logTail = (1...8).map { "line \($0)" }
        expectText(
            report,
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2 exited with code 7
                The worker called _exit(7) itself while it served a request.
                Serving GET /crash/exit for 2.1 ms (request 7f3c9a)
                Ran as pid 4711 for 3 min 12 s, 18,204 requests
                2026-11-24 13:40:12 UTC

            No stack: it ended by exit(3) or _exit(2), which no handler sees.

            Last lines on standard error (the last 5 of 8, --all)
                line 4
                line 5
                line 6
                line 7
                line 8

            """)
    }

    @Test func killMinus9IsTold() {
        var report = Sample.worker(
            .exit, reason: "Killed by SIGKILL from outside; the kernel's out-of-memory counter did not move.")
        report.process?.exit = ExitStatus()
        report.process?.exit?.signal = "SIGKILL"
        report.worker?.requestsServed = 1
        expectText(
            report,
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · worker 2 was killed by SIGKILL
                Killed by SIGKILL from outside; the kernel's out-of-memory counter did not
                move.
                Ran as pid 4711 for 3 min 12 s, 1 request
                2026-11-24 13:40:12 UTC

            No stack: SIGKILL cannot be caught.

            """)
    }

    @Test func aReportWithOnlyAnIdSaysThatNothingIsKnown() {
        expectText(
            CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K"),
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · nothing is known
                The report holds no reason.

            """)
    }

    @Test func anIncompleteReportOfANewerGraniteSaysWhatIsMissing() {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.schema = "granite.crash/2"
        report.signal = SignalInfo()
        report.signal?.name = "SIGSEGV"
        report.signal?.codeName = "SEGV_ACCERR"
        report.signal?.address = Address(0x1000)
        report.capture = CaptureInfo()
        report.capture?.incomplete = true
        report.capture?.stage = "copied"
        report.capture?.errors = ["The collector was killed while it worked."]
        report.capture?.suppressed = 2
        var thread = Sample.thread(4715, "python-1", crashed: true, [Sample.native("f", "/srv/a.so", offset: 0x10)])
        thread.frames?[0].trust = .scan
        thread.truncated = true
        thread.note = "The layout of Python 3.15 is not known."
        thread.unmergedPythonFrames = [Sample.python("view", "/srv/app.py", 3)]
        report.threads = [thread]
        expectText(
            report,
            """
            *** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K · a process died of SIGSEGV
                SIGSEGV (SEGV_ACCERR) at 0x0000000000001000. Why is not known.
                Written as "granite.crash/2", not as granite.crash/1: some of it may be
                missing here.

            Thread 4715 "python-1" crashed
              0?C      f                     a.so+0x10
                ? found by searching the stack for return addresses: may be wrong
                The stack goes on, but could not be followed further.
                The layout of Python 3.15 is not known.
              Python frames of this thread, not merged into the list above
              0 Python view                  /srv/app.py:3

            Capture    the report is incomplete, the last stage that ended is "copied". The
                       collector was killed while it worked. 2 more like this were only
                       counted.

            """)
    }

    @Test func allThreadsAreShownOnDemandAndEqualStacksOnce() {
        var options = ReportText.Options()
        options.threads = true
        let text = ReportText(Sample.nullPointer(), options).rendered
        #expect(text.contains("\nOthers     11 threads: 8 idle, 2 waiting for the GIL, 1 event loop\n"))
        #expect(
            text.hasSuffix(
                """
                Thread 4716 "pool-0" and 7 more with the same stack, idle
                  0 C      epoll_wait            libc.so.6+0x10a2b0

                Thread 4730 "python-2" and 1 more with the same stack, waiting for the GIL
                  0 C      take_gil              libpython3.11.so.1.0+0x1

                Thread 4711 "granite", event loop
                  0 Swift  EventLoop.turn()      GraniteHTTP/EventLoop.swift:93

                """))
    }

    @Test(arguments: [
        (CrashReport.Kind.oomKill, "worker 2 was OOM-killed"), (.startup, "worker 2 failed to start"),
        (.hang, "worker 2 hangs"),
        (.dump, "worker 2, dump on request"), (.threadException, "worker 2: exception in a thread"),
    ])
    func everyKindHasAStatementThatFitsTheFirstLine(kind: CrashReport.Kind, statement: String) {
        let report = Sample.worker(kind, reason: "why")
        #expect(Headline.statement(report) == statement)
        let first = ReportText(report).rendered.split(separator: "\n")[0]
        #expect(first == "*** granite crash \(report.id) · \(statement)")
        #expect(TerminalText.columns(String(first)) <= 80)
    }

    @Test func registersAreShownOnDemand() {
        var report = Sample.overflow()
        report.threads?[0].registers = ["rax", "rdx", "rcx", "r8"].map {
            ThreadReport.Register(name: $0, value: Address(0x7f12))
        }
        var options = ReportText.Options()
        #expect(!ReportText(report).rendered.contains("Registers"))
        options.registers = true
        #expect(
            ReportText(report, options).rendered.contains(
                """
                Registers
                   rax 0x0000000000007f12   rdx 0x0000000000007f12   rcx 0x0000000000007f12
                    r8 0x0000000000007f12

                """))
    }

    @Test func everythingFoldedComesBackWithAll() {
        var options = ReportText.Options()
        options.all = true
        let text = ReportText(Sample.nullPointer(), options).rendered
        for name in [
            "_PyObject_MakeTpCall", "_PyEval_Vector", "partial apply for closure #1", "start_thread", "__clone3",
        ] { #expect(text.contains(name)) }
        #expect(
            text.contains(
                "GraniteWSGI.WSGIApplication.call(_: GraniteExchange.Request, environ: Swift.Dictionary<Swift.String, Swift.Int>) throws -> ()\n"
            ))
        #expect(!text.contains("folded"))
    }

    @Test func colourChangesNothingButColour() {
        var options = ReportText.Options()
        options.theme = .color
        let text = ReportText(Sample.nullPointer(), options).rendered
        #expect(
            text.hasPrefix(
                "\u{1B}[1;31m*** granite crash 01JDF3T8Q2M4V6X8ZB0D2F4H6K\u{1B}[0m · \u{1B}[1;31mworker 2 died of SIGSEGV\u{1B}[0m\n"
            ))
        let plain = text.split(separator: "\u{1B}").map { $0.drop { $0 != "m" }.dropFirst() }.joined()
        #expect(plain == ReportText(Sample.nullPointer()).rendered)
    }

    private func expectText(
        _ report: CrashReport, _ expected: String, options: ReportText.Options = ReportText.Options(),
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(ReportText(report, options).rendered == expected, sourceLocation: sourceLocation)
    }

    @Test func howAFrameWasFoundIsMarkedAndExplained() {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        var frames = ["crash", "handler", "__restore_rt", "middle", "outer", "caller"].map {
            Sample.native($0, "/srv/a.so", offset: 0x10)
        }
        let trusts: [Frame.Trust] = [.context, .cfi, .cfi, .framePointer, .scan, .handler]
        for index in frames.indices { frames[index].trust = trusts[index] }
        frames[5].kind = .swiftAsync
        report.threads = [Sample.thread(1, "t", crashed: true, frames)]
        let text = ReportText(report, ReportText.Options()).rendered
        #expect(text.contains("  2 C      (signal handler called)"), "\(text)")
        #expect(text.contains("  3~C      middle"))
        #expect(text.contains("  4?C      outer"))
        #expect(text.contains("  5+C      await caller"))
        #expect(text.contains("    ~ found by the frame pointer: likely right"))
        #expect(text.contains("    ? found by searching the stack for return addresses: may be wrong"))
    }
}
