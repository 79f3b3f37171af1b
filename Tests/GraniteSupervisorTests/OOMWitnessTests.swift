import GraniteReport
import Testing

@testable import GraniteSupervisor

struct OOMWitnessTests {
    private func move(_ tree: FileTree, own: Int, system: Int) throws {
        try tree.write(
            "/sys/fs/cgroup/system.slice/granite.service/memory.events", "max 12\noom_kill \(own)\n")
        try tree.write("/proc/vmstat", "oom_kill \(system)\n")
    }

    @Test func aKillThatTheLogNamesIsToldWithItsRecord() throws {
        let tree = try FileTree.v2()
        try tree.write("/dev/kmsg", "")
        var witness = OOMWitness(
            root: tree.root, log: KernelLog(path: tree.root + "/dev/kmsg", sharesPids: true))
        let cgroup = witness.watch(process: 4711)
        try move(tree, own: 1, system: 4)
        try tree.append("/dev/kmsg", KernelLogTests.record)
        let memory = witness.account(of: 4711, in: cgroup, wasKilled: true)
        #expect(memory.oomKill?.pid == 4711)
        #expect(memory.cgroup?.oomKills == 1)
        #expect(memory.systemOOMKills == 1)
        #expect(memory.kernelLogRead == true)
    }

    /// Pids are used again, after an hour of requests that fork.
    @Test func theKillOfAPredecessorWithTheSamePidIsNotThisWorkers() throws {
        let tree = try FileTree.v2()
        try tree.write("/dev/kmsg", "")
        var witness = OOMWitness(
            root: tree.root, log: KernelLog(path: tree.root + "/dev/kmsg", sharesPids: true))
        _ = witness.watch(process: 4710)
        try tree.append("/dev/kmsg", KernelLogTests.record)
        let cgroup = witness.watch(process: 4711)
        #expect(witness.account(of: 4711, in: cgroup, wasKilled: true).oomKill == nil)
    }

    @Test func countersThatStandStillSayThatItWasNoOOMKill() throws {
        let tree = try FileTree.v2(oomKills: 7)
        var witness = OOMWitness(root: tree.root, log: KernelLog(path: "/nonexistent"))
        let cgroup = witness.watch(process: 4711)
        let memory = witness.account(of: 4711, in: cgroup, wasKilled: true)
        #expect(memory.cgroup?.oomKills == 0)
        #expect(memory.systemOOMKills == 0)
        #expect(memory.kernelLogRead == false)
        #expect(memory.oomKill == nil)
    }

    /// The first of two victims took the whole step of the counter, and the second was said to be killed by a person.
    @Test func twoVictimsAtOnceAreBothExplainedAndAThirdDeathIsNot() throws {
        let tree = try FileTree.v2()
        var witness = OOMWitness(root: tree.root, log: KernelLog(path: "/nonexistent"))
        let cgroup = witness.watch(process: 4711)
        try move(tree, own: 2, system: 5)
        #expect(witness.account(of: 4711, in: cgroup, wasKilled: true).cgroup?.oomKills == 2)
        #expect(witness.account(of: 4712, in: cgroup, wasKilled: true).cgroup?.oomKills == 1)
        let third = witness.account(of: 4713, in: cgroup, wasKilled: true)
        #expect(third.cgroup?.oomKills == 0)
        #expect(third.systemOOMKills == 0)
    }

    @Test func theKillOfAnotherProcessIsForgottenAfterAWhile() throws {
        let tree = try FileTree.v2()
        let start = ContinuousClock.now
        var witness = OOMWitness(root: tree.root, log: KernelLog(path: "/nonexistent"), now: start)
        let watched = witness.watch(process: 4711)
        let cgroup = try #require(watched)
        try move(tree, own: 1, system: 4)
        witness.tick(now: start + .seconds(9), cgroups: [cgroup])
        #expect(witness.account(of: 1, in: cgroup, wasKilled: false).cgroup?.oomKills == 1)
        witness.tick(now: start + OOMWitness.interval, cgroups: [cgroup])
        // It may have happened a moment ago.
        #expect(witness.account(of: 1, in: cgroup, wasKilled: false).cgroup?.oomKills == 1)
        witness.tick(now: start + OOMWitness.interval * 2, cgroups: [cgroup])
        let memory = witness.account(of: 4711, in: cgroup, wasKilled: true)
        #expect(memory.cgroup?.oomKills == 0)
        #expect(memory.systemOOMKills == 0)
    }

    @Test func whereNothingCanBeReadNothingIsSaid() throws {
        let tree = try FileTree([:])
        var witness = OOMWitness(root: tree.root, log: KernelLog(path: "/nonexistent"))
        let cgroup = witness.watch(process: 4711)
        let memory = witness.account(of: 4711, in: cgroup, wasKilled: true)
        #expect(memory.cgroup == nil)
        #expect(memory.systemOOMKills == nil)
        #expect(memory.kernelLogRead == false)
    }
}
