// Reads what a dead child used as wait4(2) tells it.

package import Glibc
package import GraniteReport

extension ResourceUsage {
    /// ru_maxrss is in KiB (getrusage(2)).
    package init(_ usage: rusage) {
        self.init(
            userSeconds: Double(usage.ru_utime.tv_sec) + Double(usage.ru_utime.tv_usec) / 1e6,
            systemSeconds: Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6,
            maxRSSBytes: UInt64(clamping: usage.ru_maxrss) &* 1024)
    }
}
