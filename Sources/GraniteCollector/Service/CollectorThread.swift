// Runs a collector on a thread of this process, for whoever is no server: the guardian of `granite-crash run`.

import Glibc
package import GraniteStore

package enum CollectorThread {
    /// Starts one. It ends when the control socket is closed and its jobs are done, or when a job is overdue: the caller, whose process
    /// goes on, then starts another for what comes later. The thread that hangs stays, with what it holds.
    ///
    /// - Parameters: as ``Collector``'s; `log` is called on the collector's thread.
    /// - Returns: the other end of its control socket (SOCK_SEQPACKET, close-on-exec), the caller's.
    package static func start(
        store: ReportStore, level: UInt32, withLocals: Bool, log: @escaping @Sendable (String) -> Void
    ) throws(CollectorError) -> Int32 {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw CollectorError(.systemCall, errno: errno, doing: "The collector could not make its control socket")
        }
        let (own, other) = (ends[0], ends[1])
        let started = DetachedThread.start {
            do throws(CollectorError) {
                let collector = try Collector(
                    controlDescriptor: own, store: store, level: level, withLocals: withLocals, ownsProcess: false,
                    log: log)
                collector.run()
            } catch {
                log(error.description)
                close(own)
            }
        }
        guard started else {
            close(own)
            close(other)
            throw CollectorError(.systemCall, errno: EAGAIN, doing: "The collector's thread could not be started")
        }
        return other
    }
}
