// Puts a worker together: capture, interpreter, application, HTTP. The only place where these meet.

import CGraniteHooks
import CLinux
import Glibc
import GraniteCapture
import GraniteExchange
import GraniteHTTP
import GraniteLogging
import GraniteSupervisor
import GraniteWSGI

/// One worker process, from its first line to its last.
struct Worker {
    let configuration: WorkerConfiguration
    let listeners: [Int32]
    let slot: Int

    /// Serves until it is told to stop.
    ///
    /// - Throws: ``WorkerFailure`` if it cannot start.
    func run() throws(WorkerFailure) {
        let interpreter = try startPython()
        let requestIDs = RequestIDs(worker: UInt32.random(in: UInt32.min...UInt32.max))
        let application = try load(in: interpreter, requestIDs: requestIDs)
        installHooks(interpreter)  // in front of what the application set
        Capture.refreshModules()
        let log = LogOutput(descriptor: WorkerDescriptor.log, path: configuration.logFile)
        let accessLog = try configuration.accessLog ? startAccessLog(log) : nil
        let growth = GrowthWatch(interpreter, maxRSSBytes: UInt64(max(0, configuration.maxRSSBytes)))
        let heartbeat = Heartbeat(log: log, growth: growth)
        do {
            let server = try HTTPServer(
                configuration: serverConfiguration, listeners: listeners, application: BoundApplication(application),
                observer: WorkerObserver(requestIDs: requestIDs, accessLog: accessLog), heartbeat: { heartbeat.beat() })
            heartbeat.stopDescriptor = server.stopDescriptor
            try obeySignals(server: server, heartbeat: heartbeat)
            // Their descriptors end with the server, and a closed one's number may become a file of the application's:
            // Python may take seconds to end. From here on the worker is stopping anyway.
            defer { withExtendedLifetime((server, heartbeat)) { forgetSignals() } }
            heartbeat.beat()
            Capture.setReady()
            WorkerStatus.ready.send()
            try server.run()
        } catch {
            throw WorkerFailure(code: .internalError, message: "The worker cannot serve: \(error)")
        }
        let sender = granite_signal_sender(SIGTERM)
        if sender > 0 { WorkerStatus.terminated(sender: sender).send() }
        WorkerStatus.stopping.send()
        growth.close()
        accessLog?.close()
        interpreter.finalize()
    }

    private func startAccessLog(_ log: LogOutput) throws(WorkerFailure) -> AccessLog {
        do throws(AccessLog.Unstarted) {
            return try AccessLog(format: configuration.logFormat, slot: slot, pid: getpid(), output: log)
        } catch {
            throw WorkerFailure(
                code: .internalError,
                message:
                    "The access log's thread cannot be started: \(String(cString: strerror(error.errno)))."
                    + " Raise the limit of processes (ulimit -u, pids.max)."
            )
        }
    }

    private func startPython() throws(WorkerFailure) -> PythonInterpreter {
        guard chdir(configuration.directory) == 0 else {
            throw WorkerFailure(
                code: .applicationFailed,
                message:
                    "The directory \(configuration.directory) (--chdir) cannot be entered:"
                    + " \(String(cString: strerror(errno)))."
            )
        }
        do {
            let interpreter = try PythonInterpreter.start(
                configuration.python, arguments: ["granite", configuration.application],
                directory: configuration.directory)
            Capture.setPython(runtime: interpreter.runtimeAddress, version: configuration.python.hexVersion)
            // Whatever is imported from here on may already drop an object on the wrong thread.
            installHooks(interpreter)
            return interpreter
        } catch {
            throw WorkerFailure(error)
        }
    }

    /// A Python that refuses them, which none of the supported ones does, serves without.
    private func installHooks(_ interpreter: PythonInterpreter) { interpreter.withGIL { _ = granite_hooks_install() } }

    private func load(in interpreter: PythonInterpreter, requestIDs: RequestIDs) throws(WorkerFailure)
        -> WSGIApplication
    {
        do {
            return try WSGIApplication(
                try ApplicationTarget(configuration.application, factory: configuration.factory),
                configuration: WSGIConfiguration(
                    serverName: configuration.host, serverPort: configuration.port,
                    isMultithreaded: configuration.blockingThreads > 1,
                    isMultiprocess: configuration.workers > 1, requestIDPrefix: requestIDs.prefix),
                interpreter: interpreter, directory: configuration.directory)
        } catch {
            throw WorkerFailure(error)
        }
    }

    private var serverConfiguration: ServerConfiguration {
        var server = ServerConfiguration()
        server.applicationThreads = configuration.blockingThreads
        server.preferInline = configuration.preferInline
        server.backpressure = configuration.backpressure
        server.limits.maxRequestLineBytes = configuration.maxRequestLineBytes
        server.limits.maxHeaderFields = configuration.maxHeaderFields
        server.limits.maxHeaderFieldBytes = configuration.maxHeaderFieldBytes
        // The two limits of single lines must be reachable, with room for ordinary ones beside them.
        server.limits.maxHeadBytes = Self.headBytes(
            line: configuration.maxRequestLineBytes, field: configuration.maxHeaderFieldBytes)
        server.limits.maxBodyBytes = configuration.maxBodyBytes
        server.maxSpilledBytes = configuration.maxSpilledBytes
        server.minimumBodyBytesPerSecond = UInt64(max(0, configuration.minimumBodyBytesPerSecond))
        server.minimumWriteBytesPerSecond = UInt64(max(0, configuration.minimumWriteBytesPerSecond))
        server.headTimeout = .seconds(configuration.headerTimeoutSeconds)
        server.bodyTimeout = .seconds(configuration.bodyTimeoutSeconds)
        server.keepAliveTimeout = .seconds(configuration.keepAliveTimeoutSeconds)
        server.drainTimeout = .seconds(configuration.gracefulTimeoutSeconds)
        if let directory = getenv("TMPDIR").map({ String(cString: $0) }), directory.hasPrefix("/") {
            server.temporaryDirectory = directory
        }
        return server
    }

    /// Below the parser's own bound, whatever was asked for.
    private static func headBytes(line: Int, field: Int) -> Int {
        let most = (1 << 30) - 1
        return min(most, min(max(line, 0), most) + min(max(field, 0), most) + 64 * 1024)
    }

    /// SIGTERM stops gracefully, SIGUSR1 reopens the log.
    private func obeySignals(server: HTTPServer, heartbeat: Heartbeat) throws(WorkerFailure) {
        for (number, descriptor) in [(SIGTERM, server.stopDescriptor), (SIGUSR1, heartbeat.reopenDescriptor)] {
            let error = granite_signal_note(number, descriptor)
            guard error == 0 else {
                throw WorkerFailure(
                    code: .internalError,
                    message: "Signal \(number) cannot be handled: \(String(cString: strerror(error))).")
            }
        }
    }

    /// Handled and noted nowhere.
    private func forgetSignals() {
        for number in [SIGTERM, SIGUSR1] { _ = granite_signal_note(number, 0) }
    }
}
