// From what was typed and what the environment says to settings with a meaning: the one place for defaults and ranges.

import ArgumentParser
import Glibc
import GraniteCrashChannel
import GraniteHTTP
import GraniteLogging
import GraniteStore
import GraniteSupervisor
import GraniteWSGI

extension ServeOptions {
    /// The settings: the command line wins, then the environment, then the default.
    ///
    /// - Throws: `ValidationError` with a sentence that names the option or variable and says what to type instead.
    func settings(environment: [String: String]) throws -> ServeSettings {
        let given = Given(environment: environment)
        let http = ServerConfiguration()
        guard let application = try given.value(application, "APPLICATION", "an application") else {
            throw ValidationError("Which application? Write module:attribute, such as app:app for `app` in ./app.py.")
        }
        let isFactory = try given.flag(factory, "FACTORY") ?? false
        do {
            _ = try ApplicationTarget(application, factory: isFactory)
        } catch {
            throw ValidationError("\(error).")
        }
        let cores = UsableCores.count()
        return ServeSettings(
            application: application,
            isFactory: isFactory,
            directory: try directory(given.value(chdir, "CHDIR", "a directory")),
            python: try given.value(python, "PYTHON", "an interpreter"),
            host: try given.value(host, "HOST", "an address") ?? "127.0.0.1",
            port: try given.value(port, "PORT", "a port from 0 to 65535") ?? 8000,
            workers: try given.number(workers, "WORKERS", 1...1024) ?? cores,
            cores: cores,
            blockingThreads: try given.number(blockingThreads, "BLOCKING_THREADS", 1...128) ?? 1,
            backpressure: try given.number(backpressure, "BACKPRESSURE", 1...32_768) ?? 128,
            respawnsFailedWorkers: try given.flag(respawnFailedWorkers, "RESPAWN_FAILED_WORKERS") ?? true,
            respawnInterval: try given.duration(respawnInterval, "RESPAWN_INTERVAL") ?? .milliseconds(3500),
            gracefulTimeout: try given.duration(gracefulTimeout, "GRACEFUL_TIMEOUT") ?? .seconds(30),
            startupTimeout: try given.duration(startupTimeout, "STARTUP_TIMEOUT") ?? .seconds(60),
            hangLimits: try hangLimits(given),
            logFormat: try given.value(logFormat, "LOG_FORMAT", "json or text") ?? .text,
            logFile: try given.value(logFile, "LOG_FILE", "a file").map { absolute($0) },
            accessLog: try given.flag(accessLog, "ACCESS_LOG") ?? false,
            crashDirectory: try crashDirectory(environment),
            level: try given.value(backtrace, "BACKTRACE", "off, short or full") ?? .short,
            keepsLocals: try given.flag(locals, "LOCALS") ?? false,
            maxRequestLineBytes: try given.size(limitRequestLine, "LIMIT_REQUEST_LINE", 64...1 << 20)
                ?? http.limits.maxRequestLineBytes,
            maxHeaderFields: try given.number(limitRequestFields, "LIMIT_REQUEST_FIELDS", 1...32_768)
                ?? http.limits.maxHeaderFields,
            maxHeaderFieldBytes: try given.size(limitRequestFieldSize, "LIMIT_REQUEST_FIELD_SIZE", 64...1 << 20)
                ?? http.limits.maxHeaderFieldBytes,
            maxBodyBytes: try given.size(limitBody, "LIMIT_BODY", 0...1 << 50) ?? http.limits.maxBodyBytes,
            maxSpilledBytes: try given.size(limitSpilledBodies, "LIMIT_SPILLED_BODIES", 0...1 << 50)
                ?? http.maxSpilledBytes,
            minimumBodyBytesPerSecond: try given.size(minBodyRate, "MIN_BODY_RATE", 0...1 << 40)
                ?? Int(http.minimumBodyBytesPerSecond),
            minimumWriteBytesPerSecond: try given.size(minResponseRate, "MIN_RESPONSE_RATE", 0...1 << 40)
                ?? Int(http.minimumWriteBytesPerSecond),
            headerTimeout: try given.duration(headerTimeout, "HEADER_TIMEOUT") ?? http.headTimeout,
            bodyTimeout: try given.duration(bodyTimeout, "BODY_TIMEOUT") ?? http.bodyTimeout,
            keepAliveTimeout: try given.duration(keepAliveTimeout, "KEEP_ALIVE_TIMEOUT") ?? http.keepAliveTimeout,
            maxRSSBytes: try given.size(maxRss, "MAX_RSS", 0...1 << 50) ?? 0)
    }

    /// Zero is without limit.
    private func hangLimits(_ given: Given) throws -> HangPolicy.Limits {
        func limit(_ typed: TimeSpan?, _ name: String, _ standard: Duration) throws -> Duration? {
            let limit = try given.duration(typed, name) ?? standard
            return limit == .zero ? nil : limit
        }
        let limits = HangPolicy.Limits(
            request: try limit(requestTimeout, "REQUEST_TIMEOUT", .seconds(30)),
            requestKill: try limit(requestKillTimeout, "REQUEST_KILL_TIMEOUT", .zero),
            stall: try limit(stallTimeout, "STALL_TIMEOUT", .seconds(10)))
        if let stall = limits.stall, stall < .seconds(2) {
            throw ValidationError(
                "--stall-timeout is at least 2s, or 0 for never: the loop is looked at once a second.")
        }
        return limits
    }

    private func directory(_ path: String?) throws -> String {
        let directory = absolute(path ?? ".")
        guard access(directory, X_OK) == 0 else {
            throw ValidationError(
                "The directory \(directory) (--chdir) cannot be entered: \(String(cString: strerror(errno))).")
        }
        return directory
    }

    private func crashDirectory(_ environment: [String: String]) throws -> CrashDirectory {
        do {
            return CrashDirectory(
                path: absolute(try CrashDirectory.chosen(option: crashDir, environment: environment).path))
        } catch {
            throw ValidationError(error.description)
        }
    }

    /// Relative paths mean the directory that the command was typed in, whatever a worker's directory is.
    private func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return path == "." ? String(cString: here) : "\(String(cString: here))/\(path)"
    }
}

/// Looks options up in the environment where the command line is silent.
private struct Given {
    let environment: [String: String]

    func value<Value: ExpressibleByArgument>(_ typed: Value?, _ name: String, _ expected: String) throws -> Value? {
        if let typed { return typed }
        guard let text = environment["GRANITE_\(name)"], !text.isEmpty else { return nil }
        guard let value = Value(argument: text) else {
            throw ValidationError("GRANITE_\(name) is \"\(text)\" and should be \(expected).")
        }
        return value
    }

    func flag(_ typed: Bool?, _ name: String) throws -> Bool? {
        if let typed { return typed }
        return try value(Switch?.none, name, "1 or 0")?.isOn
    }

    func duration(_ typed: TimeSpan?, _ name: String) throws -> Duration? {
        try value(typed, name, "a duration such as 30, 3.5s or 1h30m")?.duration
    }

    func number(_ typed: Int?, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        return try checked(try value(typed, name, expected), typed != nil, name, range, expected)
    }

    func size(_ typed: ByteSize?, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        let expected = "a size from \(range.lowerBound) to \(range.upperBound) bytes, such as 64k or 10M"
        return try checked(try value(typed, name, expected)?.bytes, typed != nil, name, range, expected)
    }

    private func checked(_ number: Int?, _ isTyped: Bool, _ name: String, _ range: ClosedRange<Int>, _ expected: String)
        throws -> Int?
    {
        guard let number, !range.contains(number) else { return number }
        let option = isTyped ? "--\(name.lowercased().split(separator: "_").joined(separator: "-"))" : "GRANITE_\(name)"
        throw ValidationError("\(option) is \(number) and should be \(expected).")
    }
}
