// All threads stand still, whatever they do and whoever made them.

import CGraniteCapture
import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ParkTests {
    /// Every parked thread has its registers, and its stack is in the snapshot from the stack pointer on.
    private func expectStacks(_ page: CrashPage, threads expected: Int) throws {
        let capture = try page.capture()
        let threads = try page.threads()
        let snapshot = try page.snapshot()
        #expect(threads.count == expected)
        #expect(capture.parkedCount == expected - 1)
        #expect(Set(threads.map(\.tid)).count == expected)
        for thread in threads {
            #expect(thread.state.hasRegisters)
            #expect(thread.threadPointer.value != 0)
            #expect(snapshot.word(at: thread.registers[7]) != nil, "stack of \(thread.tid) \(thread.name)")
        }
    }

    @Test func aHundredSleepingThreadsParkAndAllStacksAreKept() async throws {
        let run = try await ProbeRun.run("threads-100")
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == [])
        try expectStacks(run.page, threads: 101)
        let names = try run.page.threads().map(\.name)
        #expect(names.count { $0 == "sleeper" } == 100)
    }

    @Test func withoutACollectorThePageHoldsAllStacks() async throws {
        let run = try await ProbeRun.run("threads-100", collector: nil)
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == .collectorAbsent)
        #expect(try run.page.capture().stage == .finished)
        try expectStacks(run.page, threads: 101)
    }

    @Test func theSnapshotAreaFillsUpInOrderWithFiveHundredThreads() async throws {
        let run = try await ProbeRun.run("threads-500", collector: nil)
        #expect(run.ending == .signal(SIGSEGV))
        let threads = try run.page.threads()
        #expect(threads.count == 501)
        #expect(threads.count { $0.state.hasRegisters } == threads.count)
        let crashedStack = try run.page.snapshot().word(at: threads[0].registers[7])
        #expect(crashedStack != nil)
    }

    /// libdispatch and Swift's task pool block all real-time signals; our pthread_sigmask keeps the park signal open.
    @Test func dispatchAndTaskThreadsPark() async throws {
        let run = try await ProbeRun.run("dispatch-threads")
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == [])
        let threads = try run.page.threads()
        #expect(threads.count >= 6)
        #expect(threads.count { $0.state.hasRegisters } == threads.count)
    }

    /// A thread that blocks everything by the system call itself is beyond reach: the rest goes on without it.
    @Test func aDeafThreadIsListedButNotAwaitedForEver() async throws {
        let run = try await ProbeRun.run("deaf-thread", parkDeadline: .milliseconds(100))
        #expect(run.ending == .signal(SIGSEGV))
        let capture = try run.page.capture()
        #expect(capture.flags == .parkTimedOut)
        #expect(capture.stage == .finished)
        let threads = try run.page.threads()
        #expect(threads.map(\.state) == [.crashed, .signalled])
        #expect(threads[1].name == "CrashProbe")
    }

    /// SIGPROF reaches threads that block real-time signals past our wrappers.
    @Test func aThreadThatLeavesOnlySIGPROFOpenParks() async throws {
        let run = try await ProbeRun.run("half-deaf-thread", parkDeadline: .seconds(4))
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == [])
        try expectStacks(run.page, threads: 2)
    }

    /// EMFILE: the handler gives up its spare descriptor.
    @Test func aProcessWithoutFreeDescriptorsIsCapturedWhole() async throws {
        let run = try await ProbeRun.run("no-descriptors")
        #expect(run.ending == .signal(SIGSEGV))
        #expect(try run.page.capture().flags == [])
        try expectStacks(run.page, threads: 4)
        let names = try run.page.threads().map(\.name)
        #expect(names == ["CrashProbe", "sleeper", "sleeper", "sleeper"])
        #expect(try String(decoding: run.page.maps(), as: UTF8.self).contains("[vdso]"))
    }

    /// RLIMIT_SIGPENDING 0: the kernel refuses to queue real-time signals (EAGAIN), SIGPROF is delivered all the same.
    @Test func threadsParkWhereNoSignalCanBeQueued() async throws {
        let run = try await ProbeRun.run("threads-20-unqueued")
        #expect(run.ending == .signal(SIGSEGV))
        try expectStacks(run.page, threads: 21)
    }

    /// libunwind calls dl_iterate_phdr; the C library's waits for a lock that a parked thread holds.
    @Test func aThreadInsideDlIteratePhdrDoesNotBlockTheWalk() async throws {
        let run = try await ProbeRun.run("crash-in-dl_iterate_phdr")
        #expect(run.ending == .signal(SIGSEGV))
        let capture = try run.page.capture()
        #expect(capture.stage == .finished)
        let names = try ProbeSymbols().names(of: capture.handlerFrames, in: run.page)
        #expect(names.first == "granite_probe_null_read")
        #expect(names.contains { $0.contains("6level1") })
    }

    @Test(arguments: 0..<10)
    func ofTwoThreadsThatFaultAtOnceOneIsTheCrashedAndOneIsParked(_ round: Int) async throws {
        let run = try await ProbeRun.run("two-threads-at-once")
        #expect(run.ending == .signal(SIGSEGV))
        let capture = try run.page.capture()
        #expect(capture.stage == .finished)
        #expect(capture.flags == [])
        #expect(capture.sequence == 1)
        let threads = try run.page.threads()
        #expect(threads.map(\.state) == [.crashed, .parked, .parked])
        // The loser is recorded where it faulted, not where it waits in its handler.
        #expect(threads.count { $0.registers[16] == threads[0].registers[16] } >= 1)
    }

    @Test(arguments: [("second-fault", SIGSEGV), ("second-fault-abort", SIGABRT)])
    func aSecondFaultEndsTheCaptureAndTheFirstSignalIsTheOneThatKills(_ name: String, _ signal: Int32) async throws {
        let run = try await ProbeRun.run(name)
        #expect(run.ending == .signal(signal))
        let capture = try run.page.capture()
        #expect(capture.flags.contains(.secondFault))
        #expect(capture.secondFaultSignal == SIGSEGV)
        #expect(capture.secondFaultAddress.value != 0)
        #expect(capture.signalNumber == signal)
        #expect(capture.stage == .walked)
        #expect(capture.handlerFrames.count > 4)
    }
}
