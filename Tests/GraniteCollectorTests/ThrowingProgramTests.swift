// Exceptions and panics of real programs under the preloaded library, from the throw to the report.

import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: ThrowingProgram.cxx.canBeBuilt))
struct ThrowingProgramTests {
    @Test func typesAndStacksAreNotedAndAnExceptionThrownAgainKeepsItsPlace() async throws {
        let run = try await ThrowingProgram.cxx.run("notes")
        #expect(run.exitCode == 0)
        #expect(run.thrown.map(\.type) == ["i", "N3app6FailedE", "N3app6FailedE", "i", "N3app6FailedE"])
        #expect(run.thrown.allSatisfy { $0.language == "C++" })
        #expect(run.thrown.allSatisfy { $0.frames.count > 4 })
        #expect(run.thrown[4].frames == run.thrown[2].frames, "`throw;` is no new place")
        #expect(run.thrown.map(\.isAgain) == [false, false, false, false, true])
    }

    @Test func aMillionExceptionsPassThroughUnchanged() async throws {
        let library = try await ThrowingProgram.library.built()
        let run = try await ThrowingProgram.cxx.run("unharmed", [library.path])
        #expect(run.exitCode == 0)
        #expect(run.reports.isEmpty)
        #expect(run.thrown.count == 32)
    }

    @Test(arguments: [true, false]) func anUncaughtExceptionIsNamedWithItsPlace(_ logged: Bool) async throws {
        let run = try await ThrowingProgram.cxx.run("uncaught", logged: logged)
        let report = try #require(run.report)
        #expect(report.signal?.name == "SIGABRT")
        #expect(report.thrown?.type == "app::Failed")
        #expect(report.thrown?.language == "C++")
        #expect(report.thrown?.frames?.first?.symbol == "app::fail(int)")
        let place = try #require(report.thrown?.frames?.first?.line)
        #expect(
            report.reason == "app::fail(int) threw app::Failed (thrower.cpp:\(place)), which nothing caught"
                + (logged ? ": failed." : "."))
        #expect(report.diagnosis?.category == "abort")
        #expect(report.diagnosis?.confidence == "certain")
    }

    /// After the first landing pad the stack that threw is gone.
    @Test(arguments: [true, false]) func anExceptionOutOfANoexceptFunctionIsTracedToItsThrow(_ logged: Bool)
        async throws
    {
        let run = try await ThrowingProgram.cxx.run("noexcept", logged: logged)
        let report = try #require(run.report)
        let crashed = report.threads?.first?.frames ?? []
        #expect(!crashed.contains { $0.symbol == "app::fail(int)" })
        #expect(report.thrown?.frames?.first?.symbol == "app::fail(int)")
        #expect(report.reason?.hasPrefix("app::fail(int) threw app::Failed (thrower.cpp:") == true)
        #expect(report.reason?.contains("which a noexcept function may not let out") == true, "\(report.reason ?? "")")
    }

    @Test func anExceptionThrownAgainIsTracedToItsFirstThrow() async throws {
        let report = try #require(try await ThrowingProgram.cxx.run("again").report)
        #expect(report.thrown?.type == "app::Failed")
        #expect(report.thrown?.frames?.first?.symbol == "app::fail(int)")
        #expect(report.thrown?.tid == report.threads?.first?.tid)
    }

    @Test func anExceptionOfAFutureIsTracedToTheThreadThatThrewIt() async throws {
        let report = try #require(try await ThrowingProgram.cxx.run("future").report)
        #expect(report.thrown?.type == "app::Failed")
        #expect(report.thrown?.frames?.first?.symbol == "app::fail(int)")
        let tid = try #require(report.thrown?.tid)
        #expect(tid != report.threads?.first?.tid)
        #expect(report.diagnosis?.evidence.contains { $0.hasSuffix("on thread \(tid)") } == true)
    }

    @Test func anAbortRightAfterACatchMentionsWhatWasCaught() async throws {
        let report = try #require(try await ThrowingProgram.cxx.run("catch-abort").report)
        #expect(report.reason == "app::abortAfterCatching() called abort.")
        #expect(report.thrown?.type == "app::Failed")
        #expect(report.diagnosis?.evidence.contains { $0.hasPrefix("app::Failed was thrown ") } == true)
    }

    /// std::terminate, because of a thread that nobody joined.
    @Test func anOldExceptionIsNotTheReasonOfAnotherEnd() async throws {
        let report = try #require(try await ThrowingProgram.cxx.run("joinable", logged: false).report)
        #expect(report.signal?.name == "SIGABRT")
        #expect(report.thrown == nil)
        #expect(report.reason?.hasSuffix("called std::terminate.") == true, "\(report.reason ?? "")")
    }
}

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: ThrowingProgram.rust.canBeBuilt))
struct PanickingProgramTests {
    @Test func aPanicThatIsCaughtIsReportedAndTheProgramGoesOn() async throws {
        let run = try await ThrowingProgram.rust.run("caught")
        #expect(run.exitCode == 0, "the panic's text and its drops are what they were")
        try #require(run.reports.count == 1)
        let report = run.reports[0]
        #expect(report.kind == .panic)
        #expect(report.diagnosis?.category == "panic")
        #expect(report.reason == "panicker::checked panicked (panicker.rs:34).", "\(report.reason ?? "")")
        #expect(report.threads?.first?.frames?.contains { $0.symbol == "panicker::checked" } == true)
        #expect(report.threads?.first?.frames?.contains { $0.module?.contains("granite-preload") == true } == false)
        #expect(report.thrown?.language == "Rust")
        #expect(report.dropSite?.hook == "rust")
    }

    @Test func thePanicsOfOnePlaceAreReportedOnceAndCounted() async throws {
        let run = try await ThrowingProgram.rust.run("often")
        #expect(run.exitCode == 0)
        #expect(run.reports.count == 1)
        #expect(run.occasions.map(\.count) == [20_000])
        #expect(run.occasions.map(\.kind) == [.panic])
    }

    @Test func aPanicOfAThreadNamesIt() async throws {
        let run = try await ThrowingProgram.rust.run("thread")
        #expect(run.exitCode == 0)
        let report = try #require(run.report)
        #expect(report.reason?.hasPrefix("panicker::answer panicked (panicker.rs:") == true, "\(report.reason ?? "")")
        #expect(report.diagnosis?.evidence.first?.contains("\"worker-7\"") == true)
    }

    @Test func aPanicThatEndsTheProgramIsReportedBeforeItsExit() async throws {
        let run = try await ThrowingProgram.rust.run("main")
        #expect(run.exitCode == 101)
        #expect(run.reports.map(\.kind) == [.panic, .exit])
    }

    @Test(arguments: [true, false]) func aPanicThatAbortsIsToldFromTheStack(_ logged: Bool) async throws {
        let run = try await ThrowingProgram.rustThatAborts.run("main", logged: logged)
        let report = try #require(run.report)
        #expect(report.signal?.name == "SIGABRT")
        #expect(
            report.reason?.hasPrefix("panicker::checked panicked (panicker.rs:34") == true, "\(report.reason ?? "")")
        #expect(report.diagnosis?.confidence == "certain")
        #expect(run.thrown.isEmpty, "nothing is raised")
    }

    @Test func aPanicThatAbortsIsPlacedWithoutNames() async throws {
        let run = try await ThrowingProgram.rustWithoutNames.run("main", logged: false)
        let report = try #require(run.report)
        #expect(
            report.reason?.contains(" called abort, likely because code of Rust panicked (") == true,
            "\(report.reason ?? "")")
        #expect(report.reason?.hasSuffix("panicker.rs:34:5).") == true)
        #expect(report.diagnosis?.confidence == "likely")
    }
}
