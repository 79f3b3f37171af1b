// What becomes of signals between whoever sends them, run and the program.

import Glibc
import GraniteGuardian
import Testing

struct SignalPassageTests {
    private static let kernel: Int32 = 0x80
    private static let user: Int32 = 0

    @Test(arguments: [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGABRT, SIGSEGV, SIGALRM, 40])
    func whatAProcessSendsToRunGoesToTheProgram(signal: Int32) {
        var passage = SignalPassage(isJob: false)
        #expect(passage.action(signal: signal, code: Self.user) == .forward)
    }

    @Test(arguments: [SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGWINCH])
    func whatATerminalSendsTheProgramHasGotAlready(signal: Int32) {
        var passage = SignalPassage(isJob: true)
        #expect(passage.action(signal: signal, code: Self.kernel) == .none)
    }

    @Test func anAlarmFromBeforeIsTheProgrammes() {
        var passage = SignalPassage(isJob: false)
        #expect(passage.action(signal: SIGALRM, code: Self.kernel) == .forward)
    }

    @Test func childrenAreLookedAtWhoeverSaysSo() {
        var passage = SignalPassage(isJob: false)
        #expect(passage.action(signal: SIGCHLD, code: 1) == .lookAtChildren)
        #expect(passage.action(signal: SIGCHLD, code: Self.user) == .lookAtChildren)
    }

    @Test func runStopsWithTheProgramWhereAShellWaitsForThat() {
        var passage = SignalPassage(isJob: true)
        #expect(passage.stopsToo() == true)
        // `fg` has continued the program with the group: it gets no second SIGCONT, unless it has none yet.
        #expect(passage.action(signal: SIGCONT, code: Self.user) == .resume)
        #expect(passage.action(signal: SIGCONT, code: Self.user) == .forward)
    }

    /// Whoever stops the program alone continues it alone, and would leave run stopped for ever.
    @Test func aStopOfTheProgramAloneIsNotRuns() {
        var passage = SignalPassage(isJob: false)
        #expect(passage.stopsToo() == false)
    }

    @Test func aStopThatReachesBothStopsBoth() {
        var passage = SignalPassage(isJob: false)
        _ = passage.action(signal: SIGTSTP, code: Self.kernel)
        #expect(passage.stopsToo() == true)
        _ = passage.action(signal: SIGCONT, code: Self.user)
        #expect(passage.stopsToo() == false)
    }
}
