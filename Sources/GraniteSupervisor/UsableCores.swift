// Finds how many processors this server may really use: the sensible number of workers, in a container too.

import CLinux
import GraniteLinux

package enum UsableCores {
    /// At least 1: the processors we may run on, or the cgroup's CPU quota rounded up, whichever is less.
    package static func count() -> Int {
        let allowed = Int(granite_usable_processors())
        let limit =
            SmallFile.text(at: "/sys/fs/cgroup/cpu.max").flatMap { Self.quota(max: $0) }
            ?? SmallFile.text(at: "/sys/fs/cgroup/cpu/cpu.cfs_quota_us").flatMap { text in
                SmallFile.text(at: "/sys/fs/cgroup/cpu/cpu.cfs_period_us").flatMap {
                    Self.quota(max: "\(text.dropLast()) \($0)")
                }
            }
        return max(1, min(allowed > 0 ? allowed : 1, limit ?? Int.max))
    }

    /// Processors that `cpu.max` (`200000 100000`, `max 100000`) allows, rounded up; nil without a limit.
    package static func quota(max text: String) -> Int? {
        let numbers = text.split { $0 == " " || $0 == "\n" }.map { Int($0) }
        guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], quota > 0, period > 0 else {
            return nil
        }
        return quota / period + (quota % period == 0 ? 0 : 1)
    }
}
