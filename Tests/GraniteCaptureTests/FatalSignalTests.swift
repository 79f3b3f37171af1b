// Every named crash, from outside: true signal, complete page, frames with the expected names.

import CGraniteCapture
import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct FatalSignalTests {
    struct Expectation: CustomTestStringConvertible, Sendable {
        var name: String
        var signal: Int32
        var code: Int32?
        var frames: [String]
        var testDescription: String { name }

        init(_ name: String, _ signal: Int32, code: Int32? = nil, frames: [String] = []) {
            self.name = name
            self.signal = signal
            self.code = code
            self.frames = frames
        }
    }

    static let levels = ["6level3", "6level2", "6level1"]

    @Test(arguments: [
        Expectation("null-read", SIGSEGV, code: 1, frames: ["granite_probe_null_read"] + levels),
        Expectation("null-write", SIGSEGV, code: 1, frames: ["granite_probe_null_write"] + levels),
        Expectation("null-call", SIGSEGV, code: 1),
        Expectation("wild", SIGSEGV, code: 0x80, frames: ["granite_probe_wild"] + levels),
        Expectation("abort", SIGABRT, code: -6, frames: ["abort_level2", "granite_probe_abort"] + levels),
        Expectation("fpe", SIGFPE, code: 1, frames: ["granite_probe_divide"] + levels),
        Expectation("bus", SIGBUS, code: 2, frames: ["granite_probe_bus"] + levels),
        Expectation("trap", SIGTRAP, frames: ["granite_probe_trap"] + levels),
        Expectation("double-free", SIGABRT, code: -6, frames: ["granite_probe_double_free"] + levels),
        Expectation("swift-bounds", SIGILL, frames: ["readPastEnd"] + levels),
        Expectation("swift-overflow", SIGILL, frames: ["addOverflowing"] + levels),
        Expectation("swift-nil", SIGILL, frames: ["unwrapNil"] + levels),
        Expectation("fatal-error", SIGILL, frames: ["failFatally"] + levels),
    ])
    func diesOfTheTrueSignalWithACompletePage(_ expected: Expectation) async throws {
        let run = try await ProbeRun.run(expected.name)
        #expect(run.ending == .signal(expected.signal))
        let capture = try run.page.capture()
        #expect(capture.stage == .finished)
        #expect(capture.kind == .signal)
        #expect(capture.flags == [])
        #expect(capture.sequence == 1)
        #expect(capture.signalNumber == expected.signal)
        if let code = expected.code { #expect(capture.signalCode == code) }
        #expect(capture.senderPID == (capture.signalCode <= 0 ? run.pid : 0))
        #expect(run.hellos.map(\.capture_sequence) == [1])
        #expect(run.hellos.map { pid_t($0.pid) } == [run.pid])

        let threads = try run.page.threads()
        #expect(threads.count == 1)
        #expect(threads[0].state == .crashed)
        #expect(threads[0].tid == UInt32(run.pid))
        #expect(threads[0].name == "CrashProbe")
        #expect(try String(decoding: run.page.maps(), as: UTF8.self).contains("[vdso]"))
        #expect(try run.page.snapshot().segments.contains { $0.kind == .vdso })

        let names = try ProbeSymbols().names(of: capture.handlerFrames, in: run.page)
        var rest = names[...]
        for frame in expected.frames {
            let found = rest.firstIndex { $0.contains(frame) }
            #expect(found != nil, "\(frame) is missing in order among \(names)")
            if let found { rest = rest[(found + 1)...] }
        }
    }

    @Test func aNullReadTellsTheAddressAndTheCode() async throws {
        let run = try await ProbeRun.run("null-write", level: "full")
        let capture = try run.page.capture()
        #expect(capture.signalAddress.value == 8)
        #expect(capture.trapNumber == 14)  // page fault
        #expect(capture.errorCode & 2 != 0)  // write
        let snapshot = try run.page.snapshot()
        let crashed = try run.page.threads()[0]
        #expect(snapshot.memory(at: crashed.registers[16], length: 8) != nil, "the code at the program counter")
        #expect(snapshot.word(at: crashed.registers[7]) != nil, "the stack")
        #expect(capture.handlerFrames.first?.value == crashed.registers[16])
    }

    @Test func memoryNearRegistersIsForTheFullLevel() async throws {
        for (level, expected) in [("short", false), ("full", true)] {
            let run = try await ProbeRun.run("null-read", level: level)
            let kinds = try run.page.snapshot().segments.map(\.kind)
            #expect(kinds.contains(.nearRegister) == expected)
        }
    }

    @Test func theLevelOffInstallsNothing() async throws {
        let run = try await ProbeRun.run("null-read", level: "off")
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().stage == .idle)
        #expect(run.hellos.isEmpty)
    }

    @Test func anotherProcessThatSendsTheSignalIsNamed() async throws {
        let run = try await ProbeRun.run("kill-segv-from-child")
        #expect(run.ending == .signal(SIGSEGV))
        let capture = try run.page.capture()
        #expect(capture.signalCode == 0)  // SI_USER
        #expect(capture.senderPID > 0 && capture.senderPID != run.pid)
        #expect(capture.senderUID == getuid())
        #expect(capture.signalAddress.value == 0)
    }

    @Test(arguments: ["stack-overflow-main", "stack-overflow-pthread", "stack-overflow-dispatch"])
    func aStackOverflowIsCaughtOnEveryKindOfThread(_ name: String) async throws {
        let run = try await ProbeRun.run(name)
        #expect(run.ending == .signal(SIGSEGV))
        let capture = try run.page.capture()
        #expect(capture.stage == .finished)
        #expect(!capture.flags.contains(.secondFault))
        let names = try ProbeSymbols().names(of: capture.handlerFrames, in: run.page)
        #expect(names.count { $0 == "granite_probe_overflow" } > 100)
        // The stack pointer may lie in the guard page: the copy begins at the first readable byte above.
        let stackPointer = try run.page.threads()[0].registers[7]
        let stack = try #require(try run.page.snapshot().segments.first { $0.kind == .stack })
        #expect(stack.address >= stackPointer &- 128 && stack.address < stackPointer &+ 65536)
        #expect(stack.length > 100_000)
    }

    @Test func exitsAndKillsLeaveThePageIdleButNotEmpty() async throws {
        let left = try await ProbeRun.run("exit-7")
        #expect(left.ending == .code(7))
        let killed = try await ProbeRun.run("kill-self")
        #expect(killed.ending == .signal(SIGKILL))
        for run in [left, killed] {
            #expect(try run.page.capture().stage == .idle)
            let status = try run.page.status()
            #expect(status.pid == run.pid)
            #expect(status.isReady)
            let breadcrumbs = try run.page.breadcrumbs()
            #expect(breadcrumbs.map(\.category) == ["probe"])
        }
    }

    @Test func aForkedChildThatCrashesDoesNotTouchThePage() async throws {
        let run = try await ProbeRun.run("fork-crash")
        #expect(run.ending == .code(0), "the child died of SIGSEGV")
        #expect(try run.page.capture().stage == .idle)
        #expect(run.hellos.isEmpty)
    }

    /// At level off nothing watched fork(2): the child wrote into the worker's page.
    @Test(arguments: ["off", "full"]) func aForkedChildsBreadcrumbsAreNotTheWorkers(_ level: String) async throws {
        let run = try await ProbeRun.run("fork-breadcrumb", level: level, collector: nil)
        #expect(run.ending == .code(0))
        #expect(try run.page.breadcrumbs().map(\.message) == ["about to run fork-breadcrumb"])
    }

    /// faulthandler.enable() after us, then multiprocessing: the child lost a handler that was not ours.
    @Test func aForkedChildKeepsTheHandlerThatCameAfterOurs() async throws {
        let run = try await ProbeRun.run("fork-crash-handled")
        #expect(run.ending == .code(0), "the child ended by its own handler")
    }

    @Test func theRequestBeingServedOutlivesTheWorker() async throws {
        let run = try await ProbeRun.run("requests", collector: nil)
        let requests = try run.page.requests()
        #expect(requests.count == 1)
        #expect(requests[0].id == "7f3c9a0000000000")
        #expect(requests[0].method == "GET")
        #expect(requests[0].target == "/crash/null?from=probe")
        #expect(requests[0].tid == UInt32(run.pid))
        #expect(requests[0].isComplete)
    }
}
