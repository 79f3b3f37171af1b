// Defines what a worker is told: made by `granite serve`, handed down in a memfd as JSON, read by `granite worker`.

import GraniteLogging
import GraniteWSGI

/// How a worker serves.
struct WorkerConfiguration: Codable, Sendable {
    /// `module:attribute`.
    var application: String
    var factory: Bool
    /// Absolute: the working directory, and the first place where modules are looked for.
    var directory: String
    var python: PythonInstallation
    /// SERVER_NAME and SERVER_PORT: the host as given, the port as bound.
    var host: String
    var port: Int
    var workers: Int
    /// Workers fill the cores: a second thread has none to itself.
    var preferInline: Bool
    var blockingThreads: Int
    var backpressure: Int
    var maxRequestLineBytes: Int
    var maxHeaderFields: Int
    var maxHeaderFieldBytes: Int
    var maxBodyBytes: Int
    var maxSpilledBytes: Int
    var minimumBodyBytesPerSecond: Int
    var minimumWriteBytesPerSecond: Int
    var headerTimeoutSeconds: Double
    var bodyTimeoutSeconds: Double
    var keepAliveTimeoutSeconds: Double
    var gracefulTimeoutSeconds: Double
    /// A worker with more resident memory says so; 0 is without limit.
    var maxRSSBytes: Int
    var accessLog: Bool
    var logFormat: LogFormat
    /// Where the log is, so that it can be opened again after a rotation; nil for stderr.
    var logFile: String?
}
