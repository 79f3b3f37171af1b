// Turns signals into requests to the supervisor. It is separate from the supervisor, so that tests run one without touching the
// signals of their own process.

import ServiceLifecycle
import UnixSignals

/// SIGHUP reloads, SIGUSR1 reopens the log, SIGINT and SIGTERM stop; asked again, they stop at once.
///
/// The service group reacts to the first SIGINT or SIGTERM as well; put this service before the supervisor in the group, so that it
/// still listens while the supervisor drains.
package struct OperatorSignals: Service {
    private let supervisor: Supervisor

    package init(supervisor: Supervisor) { self.supervisor = supervisor }

    package func run() async throws {
        var stopRequests = 0
        for await signal in await UnixSignalsSequence(trapping: .sighup, .sigusr1, .sigint, .sigterm)
            .cancelOnGracefulShutdown()
        {
            switch signal {
            case .sighup: supervisor.reload()
            case .sigusr1: supervisor.reopenLog()
            default:
                stopRequests += 1
                if stopRequests == 1 { supervisor.stop(reason: "\(signal)") } else { supervisor.hasten() }
            }
        }
    }
}
