// Which moves of the OOM killer's counters are held against a process that was killed.

import GraniteGuardian
import Testing

struct OOMMovesTests {
    private let second: UInt64 = 1_000_000_000

    /// Of the cgroup, of the machine.
    private func recent(_ moves: OOMMoves, _ now: UInt64) -> [Int?] {
        let found = moves.recent(at: now)
        return [found.cgroup, found.system]
    }

    @Test func aStrikeIsRememberedForSomeSecondsAndForAllItsVictims() {
        var moves = OOMMoves()
        moves.note(cgroup: 3, system: 7, at: 10 * second, isGuarding: true)
        #expect(recent(moves, 10 * second) == [0, 0])
        moves.note(cgroup: 4, system: 9, at: 11 * second, isGuarding: true)
        #expect(recent(moves, 11 * second) == [1, 2])
        #expect(recent(moves, 12 * second) == [1, 2])
        moves.note(cgroup: 5, system: 9, at: 12 * second, isGuarding: true)
        #expect(recent(moves, 12 * second) == [2, 2])
    }

    /// A `kill -9` minutes later was told as the OOM killer's.
    @Test func anOldStrikeIsNobodysCauseOfDeath() {
        var moves = OOMMoves()
        moves.note(cgroup: 0, system: 0, at: 10 * second, isGuarding: true)
        moves.note(cgroup: 1, system: 1, at: 11 * second, isGuarding: true)
        #expect(recent(moves, 17 * second) == [0, 0])
        moves.note(cgroup: 1, system: 1, at: 17 * second, isGuarding: true)
        #expect(recent(moves, 17 * second) == [0, 0])
    }

    @Test func whatMovedWhileNobodyLivedHasNoTime() {
        var moves = OOMMoves()
        moves.note(cgroup: 0, system: 0, at: 10 * second, isGuarding: false)
        moves.note(cgroup: 1, system: 1, at: 60 * second, isGuarding: false)
        #expect(recent(moves, 60 * second) == [0, 0])
        // A guardian that was held up itself still counts it.
        moves.note(cgroup: 2, system: 2, at: 90 * second, isGuarding: true)
        #expect(recent(moves, 90 * second) == [1, 1])
    }

    @Test func whatCannotBeReadIsNotKnown() {
        var moves = OOMMoves()
        #expect(recent(moves, second) == [nil, nil])
        moves.note(cgroup: nil, system: 4, at: second, isGuarding: true)
        moves.note(cgroup: nil, system: 5, at: 2 * second, isGuarding: true)
        #expect(recent(moves, 2 * second) == [nil, 1])
    }
}
