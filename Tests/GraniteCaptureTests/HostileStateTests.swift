// The capture in processes whose state is against it: locks held, signals blocked, descriptors and stacks gone.

import CGraniteCapture
import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct HostileStateTests {
    struct Expectation: CustomTestStringConvertible, Sendable {
        var name: String
        var signal: Int32
        var frames: [String]
        var threads = 1
        var testDescription: String { name }
    }

    static let levels = ["6level3", "6level2", "6level1"]

    /// The status is true, the page is whole, there is one capture, and its frames are those of the fault.
    static func expect(_ run: ProbeRun, signal: Int32, frames: [String], threads: Int = 1, flags: CrashPage.Flags = [])
        throws
    {
        #expect(run.ending == .signal(signal))
        let capture = try run.page.capture()
        #expect(capture.kind == .signal)
        #expect(capture.stage == .finished)
        #expect(capture.sequence == 1)
        #expect(capture.flags == flags)
        #expect(capture.signalNumber == signal)
        let all = try run.page.threads()
        #expect(all.count == threads)
        #expect(all.count { $0.state.hasRegisters } == threads)
        let snapshot = try run.page.snapshot()
        for thread in all.dropFirst() { #expect(snapshot.word(at: thread.registers[7]) != nil, "\(thread.name)") }
        let names = try ProbeSymbols().names(of: capture.handlerFrames, in: run.page)
        var rest = names[...]
        for frame in frames {
            let found = rest.firstIndex { $0.contains(frame) }
            #expect(found != nil, "\(frame) is missing in order among \(names)")
            if let found { rest = rest[(found + 1)...] }
        }
    }

    @Test(arguments: [
        Expectation(
            name: "malloc-locked", signal: SIGSEGV, frames: ["granite_hostile_fault_in_malloc"] + levels, threads: 2),
        Expectation(name: "malloc-abort", signal: SIGABRT, frames: ["granite_hostile_abort_in_malloc"], threads: 2),
        Expectation(
            name: "handler-crash", signal: SIGSEGV,
            frames: ["granite_probe_null_read", "fault_in_handler", "granite_hostile_fault_in_handler"] + levels),
        Expectation(
            name: "handler-crash-altstack", signal: SIGSEGV,
            frames: ["granite_probe_null_read", "fault_in_handler", "granite_hostile_fault_in_handler"] + levels),
        Expectation(
            name: "handler-abort", signal: SIGABRT, frames: ["granite_probe_abort", "abort_in_handler"] + levels),
        Expectation(
            name: "crash-after-fork", signal: SIGSEGV,
            frames: ["granite_probe_null_write", "granite_hostile_crash_after_fork"]),
        Expectation(name: "crash-at-exit", signal: SIGSEGV, frames: ["granite_probe_null_read", "crash_at_exit"]),
        Expectation(
            name: "all-blocked", signal: SIGSEGV,
            frames: ["granite_probe_null_read", "granite_hostile_fault_with_all_blocked"]),
        Expectation(
            name: "address-limit", signal: SIGSEGV, frames: ["granite_probe_null_read", "run_job"], threads: 2),
        Expectation(name: "file-limit", signal: SIGSEGV, frames: ["granite_probe_null_read"] + levels),
        Expectation(name: "coroutine", signal: SIGSEGV, frames: ["granite_probe_null_read", "fault_there"]),
        Expectation(name: "coroutine-overflow", signal: SIGSEGV, frames: ["granite_probe_overflow"]),
        Expectation(name: "wild-stack-pointer", signal: SIGSEGV, frames: ["granite_hostile_wild_stack_pointer"]),
        Expectation(name: "altstack-off-overflow", signal: SIGSEGV, frames: ["granite_probe_overflow"]),
        Expectation(name: "altstack-small-overflow", signal: SIGSEGV, frames: ["granite_probe_overflow"]),
        Expectation(
            name: "clone", signal: SIGSEGV, frames: ["granite_probe_null_read", "fault_in_clone"], threads: 2),
    ])
    func isCapturedWholeAndDiesOfTheTrueSignal(_ expected: Expectation) async throws {
        let run = try await ProbeRun.run(expected.name, level: "full")
        try Self.expect(run, signal: expected.signal, frames: expected.frames, threads: expected.threads)
        #expect(run.hellos.count == 1)
    }

    /// Whichever of the two meets the broken chunk first: the other waits for a lock that is never given back.
    @Test func aThreadThatWaitsForTheLockOfABrokenHeapIsParked() async throws {
        let run = try await ProbeRun.run("malloc-contended")
        try Self.expect(run, signal: SIGSEGV, frames: [], threads: 2)
    }

    /// Deaths by different signals at the same moment: one of them is captured, and it is the one that kills.
    @Test(arguments: 0..<5)
    func ofSixteenThreadsThatDieAtOnceOneIsCapturedAndKills(_ round: Int) async throws {
        let run = try await ProbeRun.run("sixteen-at-once")
        let capture = try run.page.capture()
        try Self.expect(run, signal: capture.signalNumber, frames: ["end_somehow"], threads: 17)
        #expect([SIGSEGV, SIGBUS, SIGABRT, SIGTRAP].contains(capture.signalNumber))
    }

    private static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// The loader's lock is held, and another thread waits for it.
    @Test(.enabled(if: compiler != nil))
    func aCrashInAConstructorOfALoadedLibraryIsCaptured() async throws {
        let folder = try TemporaryDirectory()
        try folder.write(
            "__attribute__((constructor)) static void begin(void) { *(volatile int *)0 = 1; }", to: "library.c")
        let library = folder.file("library.so").path
        let (ending, _, errors) = try await Command.run(
            URL(fileURLWithPath: try #require(Self.compiler)),
            ["-shared", "-fPIC", "-o", library, folder.file("library.c").path])
        try #require(ending == .code(0), "\(errors)")
        let run = try await ProbeRun.run("dlopen-crash", argument: library)
        #expect(run.ending == .signal(SIGSEGV))
        let capture = try run.page.capture()
        #expect(capture.stage == .finished)
        #expect(capture.flags == [])
        #expect(try run.page.threads().map(\.state) == [.crashed, .parked])
    }

    /// A crash on the alternate stack has two stacks, and the report needs both.
    @Test func theStackThatAHandlerInterruptedIsCopiedToo() async throws {
        let run = try await ProbeRun.run("handler-crash-altstack")
        let stacks = try run.page.snapshot().segments.filter { $0.kind == .stack }
        #expect(stacks.count == 2)
        let maps = String(decoding: try run.page.maps(), as: UTF8.self).split(separator: "\n")
        let main = try #require(maps.first { $0.hasSuffix("[stack]") }).prefix { $0 != " " }
        let bounds = main.split(separator: "-").compactMap { UInt64($0, radix: 16) }
        #expect(stacks.contains { $0.address >= bounds[0] && $0.address < bounds[1] })
        #expect(stacks.contains { $0.address < bounds[0] })
    }

    /// faulthandler gives Python's threads an alternate stack that holds little more than a signal frame.
    @Test func aDumpNeedsNoMoreOfAnAlternateStackThanTheSignalFrame() async throws {
        let run = try await ProbeRun.run("altstack-small-dump", level: "full")
        #expect(run.ending == .code(0))
        let capture = try run.page.capture()
        #expect(capture.kind == .dump)
        #expect(capture.stage == .finished)
        #expect(capture.flags == [])
    }

    /// Past the C library nothing can keep a signal open: the kernel kills without a handler (sigaction(2)).
    @Test func aFaultBlockedByTheSystemCallItselfIsAKnownLimit() async throws {
        let run = try await ProbeRun.run("all-blocked-raw")
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().stage == .idle)
    }

    @Test func withoutDescriptorsThePageIsWrittenThroughItsMapping() async throws {
        let run = try await ProbeRun.run("closed-descriptors")
        try Self.expect(
            run, signal: SIGSEGV, frames: ["granite_probe_null_read"] + Self.levels, threads: 4, flags: .collectorAbsent
        )
        #expect(run.hellos.isEmpty)
        #expect(try run.page.snapshot().word(at: run.page.threads()[0].registers[7]) != nil)
        #expect(try String(decoding: run.page.maps(), as: UTF8.self).contains("[vdso]"))
    }

    @Test func aFileThatGotOurDescriptorsNumberIsNotWritten() async throws {
        let folder = try TemporaryDirectory()
        try folder.write("", to: "innocent")
        let run = try await ProbeRun.run("other-descriptors", argument: folder.file("innocent").path)
        try Self.expect(
            run, signal: SIGSEGV, frames: ["granite_probe_null_read"], flags: .collectorAbsent)
        #expect(try Data(contentsOf: folder.file("innocent")).isEmpty)
    }

    /// 8 MiB of main stack are copied whole, from the guard page to the first frame.
    @Test func anOverflowedMainStackIsInTheSnapshotWhole() async throws {
        let run = try await ProbeRun.run("stack-overflow-main")
        let stack = try #require(try run.page.snapshot().segments.first { $0.kind == .stack })
        let maps = String(decoding: try run.page.maps(), as: UTF8.self).split(separator: "\n")
        let main = try #require(maps.first { $0.hasSuffix("[stack]") }).prefix { $0 != " " }
        let end = try #require(main.split(separator: "-").last.flatMap { UInt64($0, radix: 16) })
        #expect(stack.address + UInt64(stack.length) == end)
    }
}
