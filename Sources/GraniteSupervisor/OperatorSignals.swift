// Turns signals into requests to the supervisor. It is separate from the supervisor, so that tests run one without touching the
// signals of their own process.

import ServiceLifecycle
import UnixSignals

/// SIGHUP reloads, SIGUSR1 reopens the log, SIGINT and SIGTERM stop; asked again, they stop at once.
///
/// Nobody else listens to them: a service group that did would race for the reason of the stop. Put this service before the supervisor
/// in the group, so that it still listens while the supervisor drains.
package struct OperatorSignals: Service {
    private let supervisor: Supervisor
    private let signals: UnixSignalsSequence

    /// From here on the signals are caught; what they ask for is done once the service runs.
    package init(supervisor: Supervisor) async {
        self.supervisor = supervisor
        signals = await UnixSignalsSequence(trapping: .sighup, .sigusr1, .sigint, .sigterm)
    }

    package func run() async throws {
        var stopRequests = 0
        for await signal in signals.cancelOnGracefulShutdown() {
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
