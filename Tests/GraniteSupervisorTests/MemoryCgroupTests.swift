import GraniteReport
import Testing

@testable import GraniteSupervisor

struct MemoryCgroupTests {
    @Test func ofVersion2TheOwnCgroupCountsAndTheNearestLimitAboveHolds() throws {
        let tree = try FileTree.v2(oomKills: 2)
        let cgroup = try #require(MemoryCgroup.find(process: "4711", root: tree.root))
        #expect(cgroup.version == .two)
        #expect(cgroup.oomKills() == 2)
        var expected = CgroupMemory()
        expected.path = "/system.slice/granite.service"
        expected.version = 2
        expected.limitBytes = 536_870_912
        expected.peakBytes = 268_435_456
        expected.currentBytes = 1_048_576
        expected.limitHits = 12
        #expect(cgroup.reading() == expected)
    }

    @Test func withoutTheControllerInTheOwnCgroupTheNextAboveIsAsked() throws {
        let tree = try FileTree.v2()
        try tree.remove("/sys/fs/cgroup/system.slice/granite.service")
        #expect(MemoryCgroup.find(process: "4711", root: tree.root)?.oomKills() == 99)
    }

    @Test func victimsInCgroupsBelowAreNotTheWorker() throws {
        let tree = try FileTree.v2(oomKills: 2)
        try tree.write("/sys/fs/cgroup/system.slice/granite.service/memory.events.local", "max 0\noom_kill 1\n")
        #expect(MemoryCgroup.find(process: "4711", root: tree.root)?.oomKills() == 1)
    }

    @Test func version1HasTheMemoryControllerOnAHybridMachine() throws {
        let directory = "/sys/fs/cgroup/memory/docker/ab"
        let tree = try FileTree([
            "/proc/self/mountinfo": "31 25 0:27 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n"
                + FileTree.v1Mount,
            "/proc/4711/cgroup": "9:name=systemd:/\n4:memory:/docker/ab\n0::/\nnonsense\n",
            "\(directory)/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
            "\(directory)/memory.limit_in_bytes": "67108864\n", "\(directory)/memory.max_usage_in_bytes": "67108000\n",
            "\(directory)/memory.usage_in_bytes": "4096\n", "\(directory)/memory.failcnt": "31\n",
            "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes": "9223372036854771712\n",
        ])
        let cgroup = try #require(MemoryCgroup.find(process: "4711", root: tree.root))
        #expect(cgroup.version == .one)
        #expect(cgroup.oomKills() == 5)
        let reading = cgroup.reading()
        #expect(reading.limitBytes == 67_108_864)
        #expect(reading.peakBytes == 67_108_000)
        #expect(reading.limitHits == 31)
    }

    @Test func noLimitIsNoNumber() throws {
        let directory = "/sys/fs/cgroup/memory"
        let tree = try FileTree([
            "/proc/self/mountinfo": FileTree.v1Mount, "/proc/4711/cgroup": "4:cpu,memory:/\n",
            "\(directory)/memory.oom_control": "oom_kill 0\n",
            "\(directory)/memory.limit_in_bytes": "9223372036854771712\n",
        ])
        #expect(MemoryCgroup.find(process: "4711", root: tree.root)?.reading().limitBytes == nil)
    }

    /// Docker without cgroup namespaces: the path is the host's, and only the container's part is mounted.
    @Test(arguments: ["/docker/ab", "/docker/ab/inner", "/elsewhere", "/../..", "/docker/abc"])
    func inAContainerThePartThatIsMountedIsFound(path: String) throws {
        let tree = try FileTree([
            "/proc/self/mountinfo": "30 23 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
            "/proc/4711/cgroup": "0::\(path)\n", "/sys/fs/cgroup/memory.events": "oom_kill 8\n",
        ])
        #expect(MemoryCgroup.find(process: "4711", root: tree.root)?.oomKills() == 8)
    }

    @Test(arguments: [
        [:], ["/proc/4711/cgroup": "0::/\n"], ["/proc/self/mountinfo": FileTree.v2Mount],
        [
            "/proc/4711/cgroup": "0::/\n", "/proc/self/mountinfo": FileTree.v2Mount,
            "/sys/fs/cgroup/memory.events": "oom_kill many\n",
        ],
        [
            "/proc/4711/cgroup": "::::\n0:\n:",
            "/proc/self/mountinfo": "- - - -\n1 2 3\n30 23 0:26 / /x rw -\n - cgroup2",
        ],
    ])
    func whatCannotBeReadIsNoCgroup(files: [String: String]) throws {
        let tree = try FileTree(files)
        #expect(MemoryCgroup.find(process: "4711", root: tree.root) == nil)
    }
}
