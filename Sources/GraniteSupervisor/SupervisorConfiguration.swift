// Defines all that a supervisor must know. What workers must know is opaque to it: bytes, handed down.

package import GraniteCrashChannel

/// The settings of one server.
package struct SupervisorConfiguration: Sendable {
    /// How many workers, when they are replaced, how they are stopped.
    package var rules: Fleet.Rules
    package var listeners: [ListeningSocket]
    /// The program that workers run, with its arguments.
    package var workerExecutable: String
    package var workerArguments: [String]
    /// What each worker reads from ``WorkerDescriptor/configuration``.
    package var payload: [UInt8]
    /// Added to the environment of workers and collector.
    package var environment: [(name: String, value: String)]
    package var level: BacktraceLevel
    /// Whether reports hold local variables of the crashed thread's Python functions.
    package var keepsLocals: Bool
    /// The `granite-crash` to run as collector.
    package var collectorExecutable: String
    package var crashDirectory: String
    /// Whether stderr of workers and collector is told as events (JSON logs), or passed on as it is.
    package var wrapsOutput: Bool
    /// How long the end of the server may wait for reports in the making, and then for the collector to end.
    package var collectorPatience: Duration
    /// When workers hang.
    package var hangLimits: HangPolicy.Limits
    /// How often the mistakes that workers count are looked at.
    package var countInterval: Duration

    package init(
        rules: Fleet.Rules, listeners: [ListeningSocket], workerExecutable: String,
        workerArguments: [String] = ["worker"], payload: [UInt8] = [],
        environment: [(name: String, value: String)] = [], level: BacktraceLevel = .short, keepsLocals: Bool = false,
        collectorExecutable: String,
        crashDirectory: String,
        wrapsOutput: Bool, collectorPatience: Duration = .seconds(5),
        hangLimits: HangPolicy.Limits = .init(), countInterval: Duration = .seconds(10)
    ) {
        self.rules = rules
        self.listeners = listeners
        self.workerExecutable = workerExecutable
        self.workerArguments = workerArguments
        self.payload = payload
        self.environment = environment
        self.level = level
        self.keepsLocals = keepsLocals
        self.collectorExecutable = collectorExecutable
        self.crashDirectory = crashDirectory
        self.wrapsOutput = wrapsOutput
        self.collectorPatience = collectorPatience
        self.hangLimits = hangLimits
        self.countInterval = countInterval
    }

    /// What workers and collector find in their environment besides our own.
    var childEnvironment: [(name: String, value: String)] {
        // Swift's own backtracer would hold the dying worker for a second; ours is there already.
        [("SWIFT_BACKTRACE", "enable=no"), ("GRANITE_BACKTRACE", level.rawValue)] + environment
    }
}
