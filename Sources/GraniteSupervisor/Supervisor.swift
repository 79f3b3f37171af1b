// Defines the supervisor as a service: what the program around it sees. The work is done by ``SupervisorLoop`` on a thread of
// its own, because it must go on when every thread of a pool is busy.

import CLinux
import Glibc
package import GraniteLogging
import ServiceLifecycle
import Synchronization

/// Runs a server: collector, workers, their deaths and replacements. Graceful shutdown of the service drains the workers.
package final class Supervisor: Service {
    private let configuration: SupervisorConfiguration
    private let log: EventLog
    private let output: LogOutput
    private let mailbox: Mailbox
    private let result = Mutex<Int32?>(nil)

    /// - Parameters:
    ///   - log: where events go.
    ///   - output: what `log` writes to; handed to workers, reopened on request, and where their stderr goes if it is not wrapped.
    package init(configuration: SupervisorConfiguration, log: EventLog, output: LogOutput) throws(SupervisorError) {
        self.configuration = configuration
        self.log = log
        self.output = output
        mailbox = try Mailbox()
    }

    /// What the process should exit with; nil while the server runs.
    package var exitCode: Int32? { result.withLock { $0 } }

    /// Runs until the server has ended, for whatever reason. Throws ``SupervisorError`` if it could not begin.
    package func run() async throws {
        let loopResult: Result<Int32, SupervisorError> = await withTaskCancellationOrGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                let thread = SupervisorThread {
                    do throws(SupervisorError) {
                        let loop = try SupervisorLoop(
                            configuration: self.configuration, log: self.log, output: self.output, mailbox: self.mailbox
                        )
                        continuation.resume(returning: .success(loop.run()))
                    } catch {
                        continuation.resume(returning: .failure(error))
                    }
                }
                if let error = thread.start() {
                    continuation.resume(
                        returning: .failure(.init(code: .systemCall, errno: error, subject: "pthread_create")))
                }
            }
        } onCancelOrGracefulShutdown: {
            self.stop(reason: "asked to stop")
        }
        let code = try loopResult.get()
        result.withLock { $0 = code }
    }

    /// Drains and stops. Called again it changes nothing. May be called from any thread, as all below.
    package func stop(reason: String) { mailbox.post(.stop(reason: reason)) }

    /// Ends a stop in progress at once: workers that still drain are killed.
    package func hasten() { mailbox.post(.hasten) }

    /// Replaces every worker, one slot after the other; each new one must serve before its old one is told to stop.
    package func reload() { mailbox.post(.reload) }

    /// Opens the log file again, here and in the workers.
    package func reopenLog() { mailbox.post(.reopenLog) }
}

/// A thread that runs one function. Signals of the process are delivered elsewhere.
private final class SupervisorThread: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// Starts it; returns an errno value if that fails.
    func start() -> Int32? {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let error = pthread_create(
            &thread, nil,
            { context in
                var signals = sigset_t()
                sigfillset(&signals)
                pthread_sigmask(SIG_SETMASK, &signals, nil)
                if let context { Unmanaged<SupervisorThread>.fromOpaque(context).takeRetainedValue().body() }
                return nil
            }, context.toOpaque())
        guard error == 0 else {
            context.release()
            return error
        }
        pthread_detach(thread)
        return nil
    }
}
