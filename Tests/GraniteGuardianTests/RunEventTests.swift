// The lines that run prints.

import GraniteGuardian
import GraniteReport
import Testing

struct RunEventTests {
    private let python = CapturedProcess(pid: 4711, program: "python3")

    private func occasion(_ count: Int, _ captured: Int) -> CountedOccasion {
        var occasion = CountedOccasion()
        occasion.kind = .unraisable
        occasion.message = "WSGIProtocol is unsendable, but is being dropped on another thread."
        occasion.count = count
        occasion.captured = captured
        return occasion
    }

    @Test func aDeathIsToldWithItsSignal() {
        let summary = CrashSummary(
            id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K", kind: "signal", reason: "strlen read address 0x0.", category: nil,
            confidence: nil, request: nil, top: [], fingerprint: nil, complete: true, report: nil)
        #expect(
            RunEvent.reported(python, signal: 11, summary).sentence
                == "python3 (pid 4711) died of SIGSEGV: strlen read address 0x0.")
        #expect(
            RunEvent.reported(python, signal: nil, summary).sentence == "python3 (pid 4711): strlen read address 0x0.")
    }

    @Test func whatWasCountedIsOneLine() {
        #expect(
            RunEvent.counted(python, occasion(6291, 1)).sentence
                == "python3 (pid 4711): WSGIProtocol is unsendable, but is being dropped on another thread: 6,290 more like it were only counted"
        )
    }

    @Test func theProcessesOfAServerAreAddedUp() {
        var sums = CountedSums()
        sums.add(python, occasion(100, 1))
        sums.add(CapturedProcess(pid: 4712, program: "python3"), occasion(50, 1))
        sums.add(CapturedProcess(pid: 4713, program: "ruby"), occasion(2, 1))
        #expect(
            sums.events == [
                .counted(python, occasion(150, 2)), .counted(.init(pid: 4713, program: "ruby"), occasion(2, 1)),
            ])
    }

    @Test func hugeCountsDoNotTrap() {
        var sums = CountedSums()
        for _ in 0..<3 { sums.add(python, occasion(.max, 0)) }
        #expect(sums.events.count == 1)
        #expect(!sums.events[0].sentence.isEmpty)
    }
}
