import GraniteSupervisor
import Testing

struct RespawnPolicyTests {
    var policy = RespawnPolicy()

    @Test func theFirstDeathIsAnsweredAtOnceAndFastOnesEverLater() {
        var policy = policy
        let delays = (1...9).map { _ in policy.workerDied(uptime: .seconds(1), becameReady: true).components }
        #expect(delays.map { Double($0.seconds) + Double($0.attoseconds) / 1e18 } == [0, 0.5, 1, 2, 4, 8, 16, 30, 30])
    }

    @Test func aWorkerThatServedLongEnoughForgivesWhatWasBefore() {
        var policy = policy
        for _ in 1...4 { _ = policy.workerDied(uptime: .zero, becameReady: true) }
        #expect(policy.workerDied(uptime: .milliseconds(3500), becameReady: true) == .zero)
        #expect(policy.workerDied(uptime: .zero, becameReady: true) == .milliseconds(500))
    }

    @Test func aSlowStartThatFailsIsStillAFailure() {
        var policy = policy
        _ = policy.workerDied(uptime: .seconds(60), becameReady: false)
        #expect(policy.workerDied(uptime: .seconds(60), becameReady: false) == .milliseconds(500))
    }

    @Test func aRefusedStartIsNeverRepeatedAtOnce() {
        var policy = policy
        #expect(policy.spawnFailed() == .milliseconds(500))
        #expect(policy.spawnFailed() == .seconds(1))
        policy.reset()
        #expect(policy.workerDied(uptime: .zero, becameReady: true) == .zero)
    }

    @Test func endlessFailuresDoNotOverflow() {
        var policy = policy
        for _ in 1...10_000 { _ = policy.workerDied(uptime: .zero, becameReady: false) }
        #expect(policy.workerDied(uptime: .zero, becameReady: false) == .seconds(30))
    }
}
