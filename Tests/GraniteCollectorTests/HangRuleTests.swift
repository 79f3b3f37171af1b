// What is concluded of a worker that was captured because it hung: threads of every kind of waiting, made up. Separate from the rules
// for crashes, because a hang has no signal that explains it.

import GraniteCrashChannel
import GraniteReport
import Testing

@testable import GraniteCollector

struct HangRuleTests {
    private func native(_ symbol: String, _ module: String = "libpython3.11.so.1.0") -> Frame {
        var frame = Frame(kind: .native)
        frame.symbol = symbol
        frame.module = module
        return frame
    }

    private func python(_ symbol: String, _ file: String, _ line: Int, inApp: Bool = true) -> Frame {
        var frame = Frame(kind: .python)
        (frame.symbol, frame.file, frame.line, frame.inApp) = (symbol, file, line, inApp)
        return frame
    }

    private func facts(_ frames: [Frame], cause: CrashPage.Cause = .requestTimeout, state: String = "idle")
        -> CrashFacts
    {
        var facts = CrashFacts(kind: cause == .asked ? .dump : .hang, pid: 1)
        facts.hang = .init(cause: cause, heartbeatAgeSeconds: 12)
        facts.serving = "GET /slow"
        facts.requestAgeSeconds = 30
        facts.frames = frames
        facts.crashedTid = 7
        var thread = ThreadReport(tid: 7)
        thread.state = state
        facts.threads = [thread]
        return facts
    }

    @Test func theApplicationsLineAndPythonsFunctionAreNamed() throws {
        let frames = [
            native("__clock_nanosleep", "libc.so.6"), native("time_sleep"), native("_PyEval_EvalFrameDefault"),
            python("slow", "app.py", 42),
        ]
        let verdict = Diagnostician.diagnose(facts(frames))
        #expect(verdict.reason == "GET /slow has been running for 30 s, in time.sleep called by slow (app.py:42).")
        #expect(verdict.diagnosis.category == "hang")
    }

    @Test func whoeverHoldsTheGILIsEvidence() throws {
        var facts = facts([native("take_gil"), python("view", "app.py", 3)], state: "waiting for the GIL")
        var holder = ThreadReport(tid: 9)
        holder.name = "cruncher"
        holder.holdsGIL = true
        holder.frames = [native("usleep", "libc.so.6"), python("crunch", "app.py", 9)]
        facts.threads.append(holder)
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason == "GET /slow has been running for 30 s, waiting for the GIL in view (app.py:3).")
        #expect(
            verdict.diagnosis.evidence.contains(
                "thread 9 \"cruncher\" holds the GIL, in C code that sleeps called by crunch (app.py:9)"),
            "\(verdict.diagnosis.evidence)")
    }

    @Test func aStalledLoopIsToldWithItsAge() {
        let verdict = Diagnostician.diagnose(
            facts([python("spin", "app.py", 5)], cause: .stallTimeout, state: "running"))
        #expect(
            verdict.reason == "The event loop has not turned for 12 s: thread 7 is running Python in spin (app.py:5).")
    }

    @Test func aDumpWithoutFramesTrapsNothing() {
        #expect(Diagnostician.diagnose(facts([], cause: .asked)).diagnosis.category == "dump")
    }
}
