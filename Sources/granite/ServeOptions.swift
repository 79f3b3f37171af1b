// The options of `granite serve` as they are typed. What they mean, and the environment's say, is in ServeOptions+Settings.swift.

import ArgumentParser
import GraniteCrashChannel
import GraniteLogging

/// Every option is optional here: what is not given is looked up in the environment, then has a default.
struct ServeOptions: ParsableArguments {
    @Argument(help: "module:attribute; without an attribute `app`, else `application`. [GRANITE_APPLICATION]")
    var application: String?

    @Option(help: "Address or name to listen on: 127.0.0.1, ::1, 0.0.0.0 for all. Default 127.0.0.1. [GRANITE_HOST]")
    var host: String?
    @Option(help: "Port, 0 for any free one. Default 8000. [GRANITE_PORT]")
    var port: UInt16?
    @Option(help: "Worker processes. Default: the usable cores. [GRANITE_WORKERS]")
    var workers: Int?
    @Option(
        help:
            "Python threads per worker; more than 1 only for an app that waits a lot. Default 1. [GRANITE_BLOCKING_THREADS]"
    )
    var blockingThreads: Int?
    @Option(
        help:
            "Requests per worker in the app or waiting for it; beyond that they queue, then get 503. Default 128. [GRANITE_BACKPRESSURE]"
    )
    var backpressure: Int?

    @Flag(
        inversion: .prefixedNo,
        help:
            "Replace workers that die. Without, the server ends with its last worker. On by default. [GRANITE_RESPAWN_FAILED_WORKERS]"
    )
    var respawnFailedWorkers: Bool?
    @Option(
        help:
            "A worker that dies sooner after its start counts as failing and is replaced ever later. Default 3.5s. [GRANITE_RESPAWN_INTERVAL]"
    )
    var respawnInterval: TimeSpan?
    @Option(
        help:
            "How long workers may finish their requests before they are killed. Default 30s. [GRANITE_GRACEFUL_TIMEOUT]"
    )
    var gracefulTimeout: TimeSpan?
    @Option(
        help:
            "How long a worker may take to load the application before it is killed and counts as failed; 0 is for ever. Default 60s. [GRANITE_STARTUP_TIMEOUT]"
    )
    var startupTimeout: TimeSpan?

    @Option(
        help:
            "Report a request that runs longer, with all stacks; it goes on. It runs until its response is sent: streaming and slow clients count. 0 is never. Default 30s. [GRANITE_REQUEST_TIMEOUT]"
    )
    var requestTimeout: TimeSpan?
    @Option(
        help:
            "Kill the worker of a request that runs longer, with a report; the others go on. It runs until its response is sent: streaming and slow clients count. 0 is never. Default 0. [GRANITE_REQUEST_KILL_TIMEOUT]"
    )
    var requestKillTimeout: TimeSpan?
    @Option(
        help:
            "Report a worker whose event loop stands still for longer, at least 2s; it goes on. 0 is never. Default 10s. [GRANITE_STALL_TIMEOUT]"
    )
    var stallTimeout: TimeSpan?

    @Option(
        help:
            "Replace a worker whose resident memory stays above this size, with a report of what grew: a new one is ready before it stops. 0 is never. Default 0. [GRANITE_MAX_RSS]"
    )
    var maxRss: ByteSize?

    @Option(help: "json: one object a line; text: for people. Default text. [GRANITE_LOG_FORMAT]")
    var logFormat: LogFormat?
    @Option(help: "File to append the log to. Default: stderr. [GRANITE_LOG_FILE]")
    var logFile: String?
    @Flag(inversion: .prefixedNo, help: "A line for each response. Off by default. [GRANITE_ACCESS_LOG]")
    var accessLog: Bool?
    @Option(help: "Where crash reports are kept. Default: see `granite-crash help`. [GRANITE_CRASH_DIR]")
    var crashDir: String?
    @Option(help: "How much of a crash is captured: off, short or full. Default short. [GRANITE_BACKTRACE]")
    var backtrace: BacktraceLevel?
    @Flag(
        inversion: .prefixedNo,
        help:
            "Keep local variables of the crashed thread's Python functions in reports, secrets left out by name. Off by default. [GRANITE_LOCALS]"
    )
    var locals: Bool?

    @Option(
        help:
            "Directory of the application: its working directory and the first place for modules. Default: this one. [GRANITE_CHDIR]"
    )
    var chdir: String?
    @Flag(inversion: .prefixedNo, help: "The attribute is a function that makes the application. [GRANITE_FACTORY]")
    var factory: Bool?
    @Option(help: "Python interpreter or virtual environment. Default: the active one. [GRANITE_PYTHON]")
    var python: String?

    @Option(help: "Longest request line. Default 8190. [GRANITE_LIMIT_REQUEST_LINE]")
    var limitRequestLine: ByteSize?
    @Option(help: "Most header fields. Default 100. [GRANITE_LIMIT_REQUEST_FIELDS]")
    var limitRequestFields: Int?
    @Option(help: "Longest header field. Default 8190. [GRANITE_LIMIT_REQUEST_FIELD_SIZE]")
    var limitRequestFieldSize: ByteSize?
    @Option(help: "Longest body. Default 1G. [GRANITE_LIMIT_BODY]")
    var limitBody: ByteSize?
    @Option(
        help:
            "Bytes of all long bodies that a worker keeps in TMPDIR at a time; beyond that they get 503. Default 4G. [GRANITE_LIMIT_SPILLED_BODIES]"
    )
    var limitSpilledBodies: ByteSize?
    @Option(
        help:
            "Bytes of a body that must arrive per second on average; 0 is as slow as the client likes. Default 500. [GRANITE_MIN_BODY_RATE]"
    )
    var minBodyRate: ByteSize?
    @Option(
        help:
            "Bytes that a client must take per second on average of a response that a Python thread waits to send; 0 is as slow as it likes. Default 8k. [GRANITE_MIN_RESPONSE_RATE]"
    )
    var minResponseRate: ByteSize?
    @Option(help: "For the whole head of a request to arrive. Default 30s. [GRANITE_HEADER_TIMEOUT]")
    var headerTimeout: TimeSpan?
    @Option(help: "Between two parts of a body. Default 30s. [GRANITE_BODY_TIMEOUT]")
    var bodyTimeout: TimeSpan?
    @Option(help: "Between a response and the next request. Default 75s. [GRANITE_KEEP_ALIVE_TIMEOUT]")
    var keepAliveTimeout: TimeSpan?
}

extension LogFormat: ExpressibleByArgument {}

extension BacktraceLevel: ExpressibleByArgument {
    package init?(argument: String) { self.init(spelling: argument) }
}
