import Foundation
import GraniteCrashChannel
import GraniteLinux
import GraniteReport
import Testing

@testable import GraniteSupervisor

@Suite(.timeLimit(.minutes(1)))
struct ChildProcessTests {
    /// A last "ready" was heeded after the death, and its SIGUSR1 went to whoever had the pid by then.
    @Test func aSignalDoesNotReachWhoeverHasThePidNext() throws {
        let child = try ChildProcess.spawn(.init(executable: "/bin/true", arguments: []))
        var death = pollfd(fd: child.pidfd.number, events: Int16(POLLIN), revents: 0)
        #expect(poll(&death, 1, -1) == 1)
        #expect(child.send(signal: SIGUSR1))  // a zombie still has its pid
        #expect(child.reap()?.status == 0)
        #expect(!child.send(signal: SIGUSR1))
    }
}

struct LogTailTests {
    @Test func onlyTheLastLinesAreKept() {
        var tail = LogTail()
        for number in 1...60 { tail.append("\(number)") }
        #expect(tail.lines.count == LogTail.maxLines)
        #expect(tail.lines.first == "11" && tail.lines.last == "60")
    }

    @Test func longLinesPushOutMore() {
        var tail = LogTail()
        for _ in 1...5 { tail.append(String(repeating: "x", count: 6000)) }
        #expect(tail.lines.count == 2)
        tail.append(String(repeating: "y", count: 20_000))
        #expect(tail.lines.map(\.count) == [20_000])
    }
}

struct UsableCoresTests {
    @Test func aQuotaIsRoundedUp() {
        #expect(UsableCores.quota(max: "150000 100000\n") == 2)
        #expect(UsableCores.quota(max: "200000 100000\n") == 2)
        #expect(UsableCores.quota(max: "max 100000\n") == nil)
        #expect(UsableCores.quota(max: "-1 100000") == nil)
        #expect(UsableCores.quota(max: "") == nil)
        #expect(UsableCores.count() >= 1)
    }
}

struct ExitStatusTests {
    @Test func waitStatusesAreToldApart() {
        #expect(ExitStatus(waitStatus: 7 << 8).code == 7)
        #expect(ExitStatus(waitStatus: 7 << 8).signal == nil)
        let segmentationFault = ExitStatus(waitStatus: 11 | 0x80)
        #expect(segmentationFault.signal == "SIGSEGV")
        #expect(segmentationFault.coreDumped == true)
        #expect(segmentationFault.code == nil)
    }
}

struct WatchlistTests {
    func watch(_ list: inout Watchlist, _ id: String) {
        _ = list.watch(
            .init(crashID: id, slot: 1, generation: 1, pid: 1, afterCollectorRestart: false), descriptors: [])
    }
    func exited(_ id: String, expected: Bool = false) -> SupervisorMessage.Exited {
        .init(
            crashID: id, pid: 1, waitStatus: 11, expected: expected, duringStartup: false, uptimeSeconds: 1,
            resources: .init(), logTail: [],
            oomKills: nil)
    }

    @Test func aReportedDeathIsForgottenAndALiveWorkerIsNot() {
        var list = Watchlist()
        watch(&list, "A")
        watch(&list, "B")
        _ = list.exited(exited("A"))
        #expect(list.replay().dispatches.count == 3)
        list.settle("A")
        #expect(list["A"] == nil)
        #expect(list.replay().dispatches.count == 1)
    }

    @Test func aReportThatIsThereBeforeTheDeathIsNoticedSettlesIt() {
        var list = Watchlist()
        watch(&list, "A")
        list.settle("A")
        #expect(list.exited(exited("A")).dispatch != nil)
        #expect(list.replay().dispatches.isEmpty)
    }

    @Test func anExpectedEndIsToldAndForgotten() {
        var list = Watchlist()
        watch(&list, "A")
        #expect(list.exited(exited("A", expected: true)).dispatch != nil)
        #expect(list.replay().dispatches.isEmpty)
        #expect(list.exited(exited("A")).dispatch == nil)
    }

    /// A crash that the collector crashes on was handed to one collector after the other for ever.
    @Test func aDeathThatEndsEveryCollectorIsGivenUpAndTheLivingAreStillWatched() {
        var list = Watchlist()
        watch(&list, "A")
        watch(&list, "B")
        #expect(list.replay().givenUp == [])
        _ = list.exited(exited("A"))
        var replays: [[Int]] = []
        for _ in 0..<3 {
            let (dispatches, givenUp) = list.replay()
            #expect(givenUp == [])
            replays.append(
                dispatches.compactMap { if case .watch(let watch) = $0.message { watch.replays } else { nil } })
        }
        #expect(replays == [[1, 0], [2, 0], [3, 0]])
        let last = list.replay()
        #expect(last.givenUp == ["A"])
        #expect(last.dispatches.count == 1)
        #expect(list.replay().givenUp == [])
    }

    @Test func theOldestUnreportedDeathsAreGivenUp() {
        var list = Watchlist()
        var givenUp: [String] = []
        for number in 100..<(100 + Watchlist.maxUnreported + 2) {
            watch(&list, "\(number)")
            givenUp += list.exited(exited("\(number)")).givenUp
        }
        #expect(givenUp == ["100", "101"])
    }
}
