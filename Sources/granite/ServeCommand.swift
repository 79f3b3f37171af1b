// `granite serve`: checks that all is there, then runs the supervisor. No Python, no libdw: small, so it does not die.

import ArgumentParser
import CLinux
import Dispatch
import Glibc
import GraniteCrashChannel
import GraniteLogging
import GraniteStore
import GraniteSupervisor
import GraniteWSGI
import Logging
import ServiceLifecycle

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serves a WSGI application.",
        discussion: """
            Examples:
              granite serve app:app                     `app` in ./app.py
              granite serve 'app:create_app()'          an application factory; --factory does the same
              granite serve shop.wsgi --chdir /srv/shop --host 0.0.0.0 --port 80 --workers 4
              GRANITE_BACKTRACE=full granite serve app:app --log-format json --log-file /var/log/granite.log

            Every option may also be given in the environment, as named in brackets; the command line wins.
            Durations are seconds, or like 1h30m, 3.5s, 250ms. Sizes are bytes, or like 64k, 10M, 1G.

            The crash collector is the granite-crash beside this program; GRANITE_CRASH_EXECUTABLE names another.

            Signals: TERM and INT stop gracefully, a second one at once. HUP reloads worker by worker: a new one is ready before an \
            old one stops. USR1 opens the log file again.

            Exit codes:
              0   stopped as asked
              1   all workers are gone and none may be started, or an internal error
              3   the application could not be loaded
              4   no usable libpython
              5   cannot listen on the address
              6   the crash directory cannot be used
              64  wrong usage
            """)

    @OptionGroup var options: ServeOptions

    func validate() throws { _ = try options.settings(environment: ProcessEnvironment.current) }

    func run() throws {
        // A log reader that went away must not take the server along.
        signal(SIGPIPE, SIG_IGN)
        // A parent that ignores it hands that down (execve(2)), and the kernel then throws wait statuses away: every death looks alike.
        signal(SIGCHLD, SIG_DFL)
        let settings = try options.settings(environment: ProcessEnvironment.current)
        let output = try openLog(settings)
        let log = EventLog(logger: makeLogger(settings, output: output))
        let supervisor: Supervisor
        do {
            supervisor = try prepare(settings, log: log, output: output)
        } catch {
            log.record(
                ServerEvent.serverStopped(exitCode: error.code.rawValue, reason: error.message, uptimeSeconds: 0))
            if settings.logFile != nil { complain(error.message) }
            throw ExitCode(error.code.rawValue)
        }
        let code = runToEnd(supervisor, logger: log.logger)
        if code != 0, let path = settings.logFile { complain("stopped with exit code \(code); \(path) says why.") }
        throw ExitCode(code)
    }

    // MARK: - Checks before the start

    /// Everything that can fail for a reason an operator can mend is tried here, before the first worker.
    private func prepare(_ settings: ServeSettings, log: EventLog, output: LogOutput) throws(StartFailure) -> Supervisor
    {
        if settings.level != .off {
            do {
                try ReportStore(directory: settings.crashDirectory).checkWritable()
            } catch {
                throw StartFailure(code: .crashDirectoryUnusable, message: error.description)
            }
        }
        let python: PythonInstallation
        do {
            python = try PythonInstallation.locate(python: settings.python, environment: ProcessEnvironment.current)
        } catch {
            throw StartFailure(code: WorkerFailure.exitCode(of: error), message: error.description + ".")
        }
        do {
            let listeners = try ListeningSocket.bind(host: settings.host, port: settings.port)
            if let warning = settings.workersWarning { log.logger.warning("\(warning)") }
            return try Supervisor(
                configuration: try settings.supervisorConfiguration(listeners: listeners, python: python), log: log,
                output: output)
        } catch {
            let code: ServerExitCode =
                switch error.code {
                case .badHost, .cannotListen: .cannotListen
                case .cannotSpawn, .systemCall: .internalError
                }
            throw StartFailure(code: code, message: error.description)
        }
    }

    private func openLog(_ settings: ServeSettings) throws -> LogOutput {
        guard let path = settings.logFile else { return LogOutput(descriptor: STDERR_FILENO) }
        do {
            return try LogOutput(path: path)
        } catch {
            complain(error.description)
            throw ExitCode(ServerExitCode.internalError.rawValue)
        }
    }

    private func makeLogger(_ settings: ServeSettings, output: LogOutput) -> Logger {
        let wantsColor = output.isTerminal && ProcessEnvironment.current["NO_COLOR"]?.isEmpty != false
        return Logger(label: "granite") { _ in
            LineLogHandler(output: output, format: settings.logFormat, theme: wantsColor ? .color : .plain)
        }
    }

    private func complain(_ message: String) {
        LogOutput(descriptor: STDERR_FILENO).write(Array("granite: \(message)\n".utf8))
    }

    // MARK: - Running

    /// Runs the supervisor until it ends. The main thread only waits; signals are told to libdispatch's threads.
    private func runToEnd(_ supervisor: Supervisor, logger: Logger) -> Int32 {
        let ended = DispatchSemaphore(value: 0)
        Task {
            do {
                // First the one that must still listen while the other drains.
                let group = ServiceGroup(
                    configuration: .init(
                        services: [
                            .init(service: await OperatorSignals(supervisor: supervisor)),
                            .init(
                                service: supervisor, successTerminationBehavior: .gracefullyShutdownGroup,
                                failureTerminationBehavior: .cancelGroup),
                        ],
                        logger: logger))
                try await group.run()
            } catch {
                logger.error("the supervisor failed: \(error)")
            }
            ended.signal()
        }
        ended.wait()
        return supervisor.exitCode ?? ServerExitCode.internalError.rawValue
    }
}

/// Why a server does not start.
struct StartFailure: Error {
    var code: ServerExitCode
    var message: String
}

/// The environment as it was at the start.
enum ProcessEnvironment {
    static let current = read()

    private static func read() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = granite_environment()
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return variables
    }
}
