// The pure steps between walked addresses and a readable stack.

import Foundation
import GraniteReport
import TestSupport
import Testing

@testable import GraniteCollector

@Suite struct FramesTests {
    private static func frames(_ names: [String]) -> [Frame] {
        names.map { name in
            var frame = Frame(kind: .native)
            frame.symbol = name
            return frame
        }
    }

    @Test func recursionIsFoldedAndBothEndsStay() throws {
        let names = ["trap", "a", "b"] + (0..<100).flatMap { _ in ["a", "b"] } + ["main", "start"]
        let (kept, cycle) = FrameFolding.fold(Self.frames(names), reachedLimit: false)
        #expect(kept.compactMap(\.symbol) == ["trap", "a", "b", "main", "start"])
        #expect(cycle == .init(start: 1, length: 2, repeats: 100))
    }

    @Test func shortRecursionIsLeftAlone() {
        let names = Array(repeating: "fib", count: 20) + ["main"]
        let (kept, cycle) = FrameFolding.fold(Self.frames(names), reachedLimit: false)
        #expect(kept.count == 21)
        #expect(cycle == nil)
    }

    @Test func foldingTakesNoLongTimeOnAWholeWalk() {
        let names = (0..<4096).map { "f\($0 % 61)" }
        let (kept, cycle) = FrameFolding.fold(Self.frames(names), reachedLimit: true)
        #expect(cycle?.length == 61)
        #expect(cycle?.atLeast == true)
        #expect(kept.count < 2 * 61 + 1)
    }

    private static func walk(_ addresses: [UInt64], _ end: WalkEnd) -> UnwoundThread {
        let raw = RawThread(tid: 1, name: "", isCrashed: true, hasRegisters: true, fsBase: 0, registers: [])
        return UnwoundThread(
            raw: raw, frames: addresses.map { .init(address: $0, isReturnAddress: $0 != addresses[0], trust: .cfi) },
            end: end)
    }

    @Test func completeWalkIsKeptWhateverTheHandlerSaw() {
        let cfi = Self.walk([10, 20], .outermost)
        #expect(FrameChoice.merge(cfi: cfi, handler: [10, 20, 30, 40], isCode: { _ in true }) == cfi)
    }

    @Test func handlersWalkContinuesOneThatWasCutShort() {
        let merged = FrameChoice.merge(
            cfi: Self.walk([10, 20], .lost), handler: [10, 20, 30, 40, 5], isCode: { $0 > 8 })
        #expect(merged.frames.map(\.address) == [10, 20, 30, 40])
        #expect(merged.frames.map(\.trust) == [.cfi, .cfi, .handler, .handler])
    }

    @Test func captureFramesAreRemovedAndNothingElse() {
        let names = [
            "granite_capture_now", "closure #1 in static Capture.now(_:subject:)", "ThreadBound.report(_:)",
            "ThreadBound.deinit", "main",
        ]
        #expect(CaptureFrames.removed(from: Self.frames(names)).compactMap(\.symbol) == ["ThreadBound.deinit", "main"])
        let hook = [
            "granite_capture_and_go_on", "granite_capture_occasion", "granite_hooks_report", "granite_hooks_tell",
            "granite_hooks_unraisable", "cfunction_vectorcall_O", "subtype_dealloc",
        ]
        #expect(
            CaptureFrames.removed(from: Self.frames(hook)).compactMap(\.symbol) == [
                "cfunction_vectorcall_O", "subtype_dealloc",
            ])
        let returned = [
            "granite_capture_occasion", "granite_hooks_note_exception", "PythonException.tellHooks()",
            "static RequestError.report(_:idPrefix:)", "WSGIThread.respond(to:)",
        ]
        #expect(CaptureFrames.removed(from: Self.frames(returned)).compactMap(\.symbol) == ["WSGIThread.respond(to:)"])
        let called = [
            "granite_capture_occasion", "granite_wrong_thread_report", "tell", "granite_bound_check", "cursor_next",
        ]
        #expect(CaptureFrames.removed(from: Self.frames(called)).compactMap(\.symbol) == ["cursor_next"])
        #expect(CaptureFrames.removed(from: Self.frames(["a", "b"])).count == 2)
    }

    @Test(arguments: [
        (["__clock_nanosleep", "sleeper"], "idle"), (["epoll_wait", "loop"], "event loop"),
        (["futex_wait", "__lll_lock_wait"], "blocked"),
        (["__futex_abstimed_wait_common64", "pthread_cond_timedwait", "take_gil"], "waiting for the GIL"),
        (["compute"], "running"),
        (["read", "f"], "blocked"),
    ]) func stateIsToldFromTheInnermostNames(_ names: [String], _ state: String) {
        #expect(ThreadState.describe(isCrashed: false, hasRegisters: true, frames: Self.frames(names)) == state)
    }

    @Test(arguments: [
        ("/srv/shop/views.py", true), ("/usr/lib/python3.11/threading.py", false),
        ("/srv/venv/lib/python3.12/site-packages/flask/app.py", false),
        ("<frozen importlib._bootstrap>", false), ("/srv/python3/app.py", true),
        ("/opt/py/lib/python3.13/json/decoder.py", false),
    ]) func pythonFilesOfTheApplicationAreTold(_ file: String, _ expected: Bool) {
        #expect(InAppRule.isInApp(pythonFile: file) == expected)
    }

    @Test(arguments: [
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", false), ("/opt/py/lib/libpython3.11.so.1.0", false),
        ("/srv/shop/_native.so", true),
        ("/usr/bin/granite", false), ("[vdso]", false), ("/srv/venv/lib/python3.11/site-packages/numpy/core.so", false),
    ]) func modulesOfTheApplicationAreTold(_ module: String, _ expected: Bool) {
        var frame = Frame(kind: .native)
        frame.module = module
        frame.symbol = "f"
        #expect(InAppRule.isInApp(frame) == expected)
    }

    @Test func excerptHasTwoLinesOnEachSideAndNoFIFOIsWaitedFor() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write((1...9).map { "line \($0)" }.joined(separator: "\n"), to: "a.py")
        var reader = SourceReader()
        #expect(
            reader.excerpt(of: file.path, around: 5)?.map(\.text) == ["line 3", "line 4", "line 5", "line 6", "line 7"])
        #expect(reader.excerpt(of: file.path, around: 1)?.map(\.line) == [1, 2, 3])
        #expect(reader.excerpt(of: file.path, around: 99) == nil)
        let fifo = directory.file("fifo").path
        #expect(mkfifo(fifo, 0o600) == 0)
        #expect(reader.excerpt(of: fifo, around: 1) == nil)
        #expect(reader.excerpt(of: "relative.py", around: 1) == nil)
    }

    @Test func waitingAsyncCallersFollowTheInnermostAsyncFunction() {
        var inner = Frame(kind: .native)
        inner.symbol = "asyncB()"
        inner.rawSymbol = "$s1t6asyncByyYaFTY0_"
        let caller = Self.frames(["asyncA()"])
        let stack = AsyncFrames.inserted(caller, into: [inner] + Self.frames(["swift_job_run"]))
        #expect(stack.compactMap(\.symbol) == ["asyncB()", "asyncA()", "swift_job_run"])
        #expect(stack[1].kind == .swiftAsync)
        #expect(AsyncFrames.inserted(caller, into: Self.frames(["f"])).count == 1)
    }
}
