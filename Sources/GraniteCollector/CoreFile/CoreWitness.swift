// Reads what only the dying process itself can tell, while the kernel still pipes its core (core(5)): its whole command line, its working
// directory, its cgroup, its threads' names. A core dump has none of them.

package struct CoreWitness: Sendable {
    let facts: ProcessFacts
    let names: [Int32: String]

    /// Call before the core is read: the process is gone when its last byte is. nil if no process of this pid dumps core now.
    package init?(pid: Int32) {
        guard ProcFiles.status(of: pid)["CoreDumping"] == "1" else { return nil }
        facts = ProcessFacts(pid: pid)
        var names: [Int32: String] = [:]
        for thread in ProcFiles.threads(of: pid) { names[thread] = ProcFiles.name(of: thread, in: pid) }
        self.names = names
    }
}
