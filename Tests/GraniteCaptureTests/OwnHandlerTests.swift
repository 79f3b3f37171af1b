// Programs that handle the signals of faults themselves: what they mend is theirs, what kills them is reported once.

import CGraniteCapture
import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct OwnHandlerTests {
    /// Handlers that leave by siglongjmp, mend the page or skip the instruction, actions that the program asks about, signals that it raises
    /// without harm: it goes on as without Granite.
    @Test(arguments: [
        "own-handler-recovers", "own-handler-recovers-thread", "own-handler-recovers-thread-nodefer",
        "own-handler-mends", "own-handler-skips", "own-handler-raise", "own-handler-asked", "own-handler-kept",
        "own-handler-masked",
    ])
    func aProgramThatHandlesItsSignalsGoesOnUnreported(_ name: String) async throws {
        let run = try await ProbeRun.run(name)
        #expect(run.ending == .code(0))
        #expect(try run.page.capture().stage == .idle)
        #expect(run.hellos.isEmpty)
    }

    @Test(arguments: [
        ("own-handler-returns", "granite_hostile_handler_returns"),
        ("own-handler-restores", "granite_hostile_handler_restores"),
        ("own-handler-raises", "granite_hostile_handler_raises"),
        ("own-handler-faulthandler", "granite_hostile_handler_raises_previous"),
        ("own-handler-sentry", "granite_hostile_handler_of_sentry"),
        ("own-handler-once", "granite_hostile_handler_once"),
        ("own-handler-raw", "granite_hostile_handler_raw"),
    ])
    func aHandlerThatDoesNotMendEndsInOneReportOfTheFault(_ name: String, _ caller: String) async throws {
        let run = try await ProbeRun.run(name)
        try HostileStateTests.expect(
            run, signal: SIGSEGV, frames: ["granite_probe_null_read", caller] + HostileStateTests.levels)
        let capture = try run.page.capture()
        #expect(capture.signalCode == 1, "the fault's own siginfo, not that of raise(3)")
        #expect(capture.trapNumber == 14)
        #expect(run.hellos.count == 1)
        let names = try ProbeSymbols().names(of: capture.handlerFrames, in: run.page)
        #expect(names.first == "granite_probe_null_read")
    }

    /// A look at the stack for signs of progress must not touch the guard page.
    @Test(arguments: ["own-handler-overflow-main", "own-handler-overflow-pthread"])
    func anOverflowedStackIsNotReadForProgress(_ name: String) async throws {
        let run = try await ProbeRun.run(name)
        try HostileStateTests.expect(
            run, signal: SIGSEGV, frames: ["granite_probe_overflow"], threads: name.hasSuffix("pthread") ? 2 : 1)
        let capture = try run.page.capture()
        let stackPointer = try #require(try run.page.threads().first).registers[7]
        let distance = capture.signalAddress.value.subtractingReportingOverflow(stackPointer).partialValue
        #expect(Int64(bitPattern: distance).magnitude <= 65536, "the fault is that of the push or the store")
        let names = try ProbeSymbols().names(of: capture.handlerFrames, in: run.page)
        #expect(names.first == "granite_probe_overflow")
    }

    @Test func aFaultAfterOneThatWasRecoveredIsItsOwn() async throws {
        let run = try await ProbeRun.run("own-handler-recovered-once")
        try HostileStateTests.expect(
            run, signal: SIGSEGV,
            frames: ["granite_probe_null_write", "fault_deeper", "granite_hostile_fault_after_recovery"])
        #expect(try run.page.capture().signalAddress.value == 8)
    }

    @Test(arguments: [
        ("own-handler-abort-returns", "granite_hostile_abort_handler_returns"),
        ("own-handler-abort-ignored", "granite_hostile_abort_ignored"),
    ])
    func anAbortIsReportedWhateverItsHandlerSays(_ name: String, _ caller: String) async throws {
        let run = try await ProbeRun.run(name)
        try HostileStateTests.expect(run, signal: SIGABRT, frames: ["granite_probe_abort", caller])
    }

    /// The handler turns SIGSEGV into SIGABRT: that is what kills, and the stack leads through the handler to the fault.
    @Test func aHandlerThatAbortsIsReportedWithTheFaultBelowIt() async throws {
        let run = try await ProbeRun.run("own-handler-aborts")
        try HostileStateTests.expect(
            run, signal: SIGABRT, frames: ["granite_probe_abort", "end_by_abort", "granite_probe_null_read"])
        #expect(try run.page.snapshot().segments.count { $0.kind == .stack } == 2)
    }

    @Test func aHandlerThatFaultsItselfIsReportedWithTheFirstFaultBelowIt() async throws {
        let run = try await ProbeRun.run("own-handler-faults")
        try HostileStateTests.expect(
            run, signal: SIGSEGV,
            frames: ["granite_probe_null_write", "fault_again", "granite_probe_null_read", "take_and_fault"])
    }

    /// The kernel begins the alternate stack anew, over the frames of the handler: it is not asked a second time.
    @Test func aHandlerThatOverflowsItsStackIsReportedAsThatOverflow() async throws {
        let run = try await ProbeRun.run("own-handler-overflows")
        try HostileStateTests.expect(run, signal: SIGSEGV, frames: ["granite_probe_overflow"])
    }

    /// No report of a signal, for there was no death by one. But the page knows what the handler was asked.
    @Test func aHandlerThatExitsLeavesANote() async throws {
        let run = try await ProbeRun.run("own-handler-exits")
        #expect(run.ending == .code(9))
        #expect(try run.page.capture().stage == .idle)
        let note = try #require(try run.page.breadcrumbs().last)
        #expect(note.category == "signal")
        #expect(note.message.hasPrefix("signal 11 at 0x"))
        #expect(note.message.hasSuffix(", given to the program's handler"))
    }

    // MARK: Python

    /// A libpython 3.11, and the prefix of its installation.
    static let python: (library: String, home: String)? = {
        let pyenv = FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".pyenv/versions").path
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: pyenv)) ?? []).sorted()
        let homes = versions.filter { $0.hasPrefix("3.11.") }.map { "\(pyenv)/\($0)" } + ["/usr/local", "/usr"]
        for home in homes {
            for folder in ["lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"] {
                let library = "\(home)/\(folder)/libpython3.11.so.1.0"
                if FileManager.default.fileExists(atPath: library) { return (library, home) }
            }
        }
        return nil
    }()

    private func runPython(_ script: String) async throws -> ProbeRun {
        let python = try #require(Self.python)
        return try await ProbeRun.run(
            "python", argument: "\(python.library)\nimport ctypes, os, sys\n\(script)",
            environment: ["PYTHONHOME": python.home])
    }

    struct Script: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var text: String
        var signal = SIGSEGV
    }

    @Test(
        .enabled(if: python != nil),
        arguments: [
            Script(testDescription: "plain", text: "ctypes.string_at(0)"),
            Script(
                testDescription: "faulthandler",
                text: "import faulthandler; faulthandler.enable(open(os.devnull, 'w')); ctypes.string_at(0)"),
            Script(
                testDescription: "faulthandler, abort",
                text: "import faulthandler; faulthandler.enable(open(os.devnull, 'w')); os.abort()", signal: SIGABRT),
            Script(
                testDescription: "signal.signal, which CPython never gets to run",
                text: "import signal; signal.signal(signal.SIGSEGV, lambda *_: None); ctypes.string_at(0)"),
            Script(testDescription: "os.closerange", text: "os.closerange(3, 4096); ctypes.string_at(0)"),
            Script(
                testDescription: "multiprocessing: the child's death is its own, then ours",
                text: """
                    import multiprocessing
                    child = multiprocessing.get_context('fork').Process(target=ctypes.string_at, args=(0,))
                    child.start(); child.join()
                    if child.exitcode == -11: ctypes.string_at(8)
                    """),
            Script(testDescription: "atexit", text: "import atexit; atexit.register(ctypes.string_at, 0)"),
            Script(
                testDescription: "interpreter shutdown",
                text: """
                    class Last:
                        def __init__(self): self.call = ctypes.string_at
                        def __del__(self): self.call(0)
                    sys.modules['last'] = Last()
                    """),
            Script(
                testDescription: "a thread, while the main thread ends",
                text: "import threading, time; threading.Thread(target=lambda: ctypes.string_at(0)).start()"),
        ])
    func aCrashInPythonIsCapturedOnce(_ script: Script) async throws {
        let run = try await runPython(script.text)
        #expect(run.ending == .signal(script.signal))
        let capture = try run.page.capture()
        #expect(capture.stage == .finished)
        #expect(capture.sequence == 1)
        #expect(capture.signalNumber == script.signal)
        if script.signal == SIGSEGV { #expect(capture.signalCode == 1) }
        #expect(capture.flags.subtracting(.collectorAbsent) == [])
    }
}
