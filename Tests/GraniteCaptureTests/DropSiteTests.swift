// The drop-site road: the same capture, and the program goes on.

import CGraniteCapture
import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct DropSiteTests {
    @Test func aValueReleasedOnAnotherThreadIsReportedWithBothSidesAndTheProgramGoesOn() async throws {
        let run = try await ProbeRun.run("thread-bound-drop")
        #expect(run.ending == .code(0))
        let capture = try run.page.capture()
        #expect(capture.kind == .dropSite)
        #expect(capture.stage == .finished)
        #expect(capture.flags == [])
        #expect(capture.signalNumber == 0)
        #expect(capture.subject == "the probe's list")
        #expect(
            capture.message
                == "the probe's list belongs to thread \(run.pid), but is being released on another thread: it is handed home,"
                + " its owner will release it")
        #expect(capture.details["hook"] == "thread_bound")
        #expect(capture.details["type"] == "Swift.Array<Swift.Int>")
        #expect(capture.details["owner_state"] == "alive")
        #expect(capture.ownerThread == UInt32(run.pid))
        #expect(capture.ownerName == "CrashProbe")
        #expect(capture.createdNanoseconds > 0)

        let symbols = try ProbeSymbols()
        let created = try symbols.names(of: capture.creationFrames, in: run.page)
        #expect(created.contains { $0.contains("createValue") }, "\(created)")
        #expect(created.contains { $0.contains("6level1") }, "\(created)")
        let dropped = try symbols.names(of: capture.handlerFrames, in: run.page)
        #expect(dropped.first?.hasPrefix("granite_capture_") == true, "\(dropped)")
        #expect(dropped.contains { $0.contains("releaseElsewhere") }, "\(dropped)")

        let threads = try run.page.threads()
        #expect(threads.map(\.state) == [.crashed, .parked])
        #expect(threads[1].tid == UInt32(run.pid))
        #expect(threads[0].tid == capture.crashedThread)
    }

    /// The thread that faults waits until the drop site's capture is over, with its registers in it, then has a capture
    /// of its own.
    @Test func aFaultDuringADropSiteNeitherStealsItsCaptureNorHangs() async throws {
        let run = try await ProbeRun.run("fault-during-drop", parkDeadline: .milliseconds(100)) { page, socket in
            if try page.capture().kind == .dropSite {
                let limit = ContinuousClock.now + .seconds(30)
                while try page.threads().count(where: { $0.state == .parked }) < 2, ContinuousClock.now < limit {
                    sched_yield()
                }
                let states = try page.threads().map(\.state)
                #expect(states == [.crashed, .parked, .parked])
            }
            try socket.finish()
        }
        #expect(run.ending == .signal(SIGSEGV))
        #expect(run.hellos.map(\.capture_sequence) == [1, 2])
        let capture = try run.page.capture()
        #expect(capture.kind == .signal)
        #expect(capture.sequence == 2)
        #expect(capture.subject.isEmpty)
    }

    @Test func useOnAnotherThreadThrowsAndIsReported() async throws {
        let run = try await ProbeRun.run("thread-bound-use")
        #expect(run.ending == .code(0))
        let capture = try run.page.capture()
        #expect(capture.kind == .dropSite)
        #expect(capture.message.hasSuffix("but is being used on another thread"))
    }

    /// The handler for SIGPROF was installed once and never looked at again: the second capture's signal killed the process.
    @Test func aProgramThatResetsSIGPROFBetweenTwoCapturesLives() async throws {
        let run = try await ProbeRun.run("drop-after-profiler", parkDeadline: .seconds(4))
        #expect(run.ending == .code(0))
        let capture = try run.page.capture()
        #expect(capture.sequence == 2)
        #expect(capture.flags == [])
        #expect(try run.page.threads().count { $0.state == .parked } == 2)
    }

    @Test func aProfilersHandlerIsBackAfterACapture() async throws {
        let run = try await ProbeRun.run("drop-beside-profiler", parkDeadline: .seconds(4))
        #expect(run.ending == .code(0))
        #expect(try run.page.capture().flags == [])
    }

    /// The walk for the creation stack read whatever lies between a coroutine's stack and the thread's.
    @Test func aValueCanBeMadeOnACoroutinesStack() async throws {
        let run = try await ProbeRun.run("thread-bound-on-coroutine", collector: nil)
        #expect(run.ending == .code(0))
    }

    /// A signal may come between a system call and the look at its errno.
    @Test func aLiveCaptureChangesNobodysErrno() async throws {
        let run = try await ProbeRun.run("errno-kept")
        #expect(run.ending == .code(0))
        #expect(try run.page.capture().stage == .finished)
        #expect(try run.page.threads().map(\.state) == [.crashed, .parked])
    }

    @Test func theSameMistakeIsReportedOnceAndThenCounted() async throws {
        let run = try await ProbeRun.run("drop-storm", collector: nil)
        #expect(run.ending == .code(0))
        #expect(try run.page.capture().sequence == 1)
        #expect(try run.page.status().suppressedCaptures == 0)
        let occasions = try run.page.occasions()
        #expect(occasions.map(\.count) == [40])
        #expect(occasions.first?.kind == .dropSite)
        #expect(occasions.first?.captured == 1)
        #expect(occasions.first?.subject == "a list")
        #expect(occasions.first?.message.contains("is being released on another thread") == true)
    }

    @Test func aStormOfDifferentMistakesIsCutToTheBurstAndTheRestIsCounted() async throws {
        let run = try await ProbeRun.run("drop-storm", argument: "named", collector: nil)
        #expect(run.ending == .code(0))
        let captured = try run.page.capture().sequence
        #expect(captured >= 10 && captured < 40)
        #expect(try run.page.status().suppressedCaptures == 40 - captured)
        #expect(try run.page.occasions().count == 40)
        #expect(try run.page.occasions().count { $0.captured == 1 } == Int(captured))
    }

    @Test func aValueReleasedAfterItsOwnerEndedSaysSo() async throws {
        let run = try await ProbeRun.run("thread-bound-late")
        #expect(run.ending == .code(0))
        let capture = try run.page.capture()
        #expect(capture.message.hasSuffix("its owner has ended, so it is released here"))
        #expect(capture.details["owner_state"] == "ended")
        #expect(capture.ownerThread != 0 && capture.ownerThread != UInt32(run.pid))
    }

    @Test func thePolicyAbortEndsTheProcessWithAReportOfItsOwn() async throws {
        let run = try await ProbeRun.run(
            "thread-bound-drop", environment: ["GRANITE_THREAD_BOUND": "abort"], collector: nil)
        #expect(run.ending == .signal(SIGABRT))
        let capture = try run.page.capture()
        #expect(capture.kind == .signal)
        #expect(capture.sequence == 2)
        #expect(capture.subject.isEmpty, "nothing is left of the first capture")
    }

    @Test func thePolicyOffReportsNothing() async throws {
        let run = try await ProbeRun.run("thread-bound-drop", environment: ["GRANITE_THREAD_BOUND": "off"])
        #expect(run.ending == .code(0))
        #expect(try run.page.capture().kind == .none)
    }
}
