// The settings of one server, and what supervisor and workers are told of them.

import FoundationEssentials
import Glibc
import GraniteCrashChannel
import GraniteLogging
import GraniteReport
import GraniteStore
import GraniteSupervisor
import GraniteWSGI

/// All that was asked for, with every default filled in.
struct ServeSettings: Sendable {
    var application: String
    var isFactory: Bool
    /// Absolute.
    var directory: String
    var python: String?
    var host: String
    var port: UInt16
    var workers: Int
    /// Usable by this server.
    var cores: Int
    var blockingThreads: Int
    var backpressure: Int
    var respawnsFailedWorkers: Bool
    var respawnInterval: Duration
    var gracefulTimeout: Duration
    var startupTimeout: Duration
    var hangLimits: HangPolicy.Limits
    var logFormat: LogFormat
    var logFile: String?
    var accessLog: Bool
    var crashDirectory: CrashDirectory
    var level: BacktraceLevel
    var keepsLocals: Bool
    var maxRequestLineBytes: Int
    var maxHeaderFields: Int
    var maxHeaderFieldBytes: Int
    var maxBodyBytes: Int
    var maxSpilledBytes: Int
    var minimumBodyBytesPerSecond: Int
    var minimumWriteBytesPerSecond: Int
    var headerTimeout: Duration
    var bodyTimeout: Duration
    var keepAliveTimeout: Duration
    /// 0 is without limit.
    var maxRSSBytes: Int

    /// Why so many workers are a bad idea; nil if they are not.
    var workersWarning: String? {
        guard workers > cores else { return nil }
        return """
            \(workers) workers on \(cores) usable core\(cores == 1 ? "" : "s"): Python computes one request per core, so the extra workers take \
            memory and turns from each other. For an app that waits a lot, raise --blocking-threads instead.
            """
    }

    func supervisorConfiguration(listeners: [ListeningSocket], python: PythonInstallation) throws(SupervisorError)
        -> SupervisorConfiguration
    {
        let executable = try Self.ownExecutable()
        let folder = executable.split(separator: "/").dropLast().map { "/\($0)" }.joined()
        return SupervisorConfiguration(
            rules: .init(
                workers: workers, respawnsFailedWorkers: respawnsFailedWorkers,
                respawn: .init(interval: respawnInterval),
                // A worker cuts its connections at the deadline itself; it is killed if that does not end it.
                gracePeriod: gracefulTimeout + .seconds(2), startupTimeout: startupTimeout),
            listeners: listeners, workerExecutable: executable,
            payload: try payload(listeners: listeners, python: python), level: level, keepsLocals: keepsLocals,
            collectorExecutable: ProcessEnvironment.current["GRANITE_CRASH_EXECUTABLE"] ?? "\(folder)/granite-crash",
            crashDirectory: crashDirectory.path, wrapsOutput: logFormat == .json, hangLimits: hangLimits)
    }

    private func payload(listeners: [ListeningSocket], python: PythonInstallation) throws(SupervisorError) -> [UInt8] {
        let configuration = WorkerConfiguration(
            application: application, factory: isFactory, directory: directory, python: python, host: host,
            port: Int(listeners.first?.port ?? port), workers: workers, preferInline: workers >= cores,
            blockingThreads: blockingThreads,
            backpressure: backpressure, maxRequestLineBytes: maxRequestLineBytes, maxHeaderFields: maxHeaderFields,
            maxHeaderFieldBytes: maxHeaderFieldBytes, maxBodyBytes: maxBodyBytes, maxSpilledBytes: maxSpilledBytes,
            minimumBodyBytesPerSecond: minimumBodyBytesPerSecond,
            minimumWriteBytesPerSecond: minimumWriteBytesPerSecond,
            headerTimeoutSeconds: headerTimeout.seconds,
            bodyTimeoutSeconds: bodyTimeout.seconds,
            keepAliveTimeoutSeconds: keepAliveTimeout.seconds,
            gracefulTimeoutSeconds: gracefulTimeout.seconds, maxRSSBytes: maxRSSBytes, accessLog: accessLog,
            logFormat: logFormat, logFile: logFile)
        guard let bytes = try? JSONEncoder().encode(configuration) else {
            throw SupervisorError(code: .systemCall, errno: EINVAL, subject: "Encoding the worker's configuration")
        }
        return Array(bytes)
    }

    /// The path of this program; workers run the same.
    private static func ownExecutable() throws(SupervisorError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0, count < buffer.count else {
            throw SupervisorError(code: .systemCall, errno: errno, subject: "readlink /proc/self/exe")
        }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
