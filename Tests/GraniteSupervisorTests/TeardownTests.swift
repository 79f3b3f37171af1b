import GraniteSupervisor
import Testing

struct TeardownTests {
    let start = ContinuousClock.now

    @Test func killIsDueOnceAtTheDeadline() {
        var teardown = Teardown(now: start, gracePeriod: .seconds(30))
        #expect(teardown.deadline == start + .seconds(30))
        #expect(teardown.advance(now: start + .seconds(29)) == false)
        #expect(teardown.advance(now: start + .seconds(30)) == true)
        #expect(teardown.advance(now: start + .seconds(31)) == false)
        #expect(teardown.deadline == nil)
    }

    @Test func hasteningBringsTheKillForward() {
        var teardown = Teardown(now: start, gracePeriod: .seconds(30))
        teardown.hasten(now: start + .seconds(1))
        #expect(teardown.advance(now: start + .seconds(1)) == true)
        teardown.hasten(now: start + .seconds(2))
        #expect(teardown.advance(now: start + .seconds(2)) == false)
    }
}
