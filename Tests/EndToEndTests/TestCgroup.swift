// A memory cgroup of a test's own, below the one that the test runs in.

import Foundation

/// A cgroup with a limit; removed with the value. nil where none may be made.
final class TestCgroup {
    let directory: String
    private let limitFile: String
    /// Where there is swap, a limit of memory alone makes a process slow instead of killing it.
    private let swapLimit: (file: String, value: String)

    /// Version 1 or 2, whichever has the memory controller here.
    init?(limitBytes: Int) {
        let own = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
        let lines = own.split(separator: "\n").map {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        }
        if let line = lines.first(where: { $0.count == 3 && $0[1].split(separator: ",").contains("memory") }) {
            directory = "/sys/fs/cgroup/memory\(line[2])/granite-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
            limitFile = "memory.limit_in_bytes"
            swapLimit = ("memory.memsw.limit_in_bytes", "\(limitBytes)")
        } else if let line = lines.first(where: { $0.count == 3 && $0[0] == "0" }) {
            directory = "/sys/fs/cgroup\(line[2])/granite-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
            limitFile = "memory.max"
            swapLimit = ("memory.swap.max", "0")
        } else {
            return nil
        }
        guard mkdir(directory, 0o755) == 0 else { return nil }
        guard
            (try? "\(limitBytes)".write(toFile: "\(directory)/\(limitFile)", atomically: false, encoding: .utf8)) != nil
        else {
            rmdir(directory)
            return nil
        }
        // Missing where swap is not accounted for. A kernel without swap counts its hits of the other limit alone.
        let swap = "\(directory)/\(swapLimit.file)"
        let hasSwap =
            (try? String(contentsOfFile: "/proc/swaps", encoding: .utf8))?.split(separator: "\n").count ?? 0 > 1
        if hasSwap, FileManager.default.fileExists(atPath: swap) {
            try? swapLimit.value.write(toFile: swap, atomically: false, encoding: .utf8)
        }
    }

    deinit { rmdir(directory) }

    /// Executes the rest of the line inside the cgroup.
    var launcher: [String] { ["/bin/sh", "-c", "echo $$ > \(directory)/cgroup.procs && exec \"$@\"", "sh"] }

    static var isAllowed: Bool { TestCgroup(limitBytes: 1 << 30) != nil }
}
