// What `granite serve` makes of its command line and its environment.

import ArgumentParser
import Foundation
import GraniteCrashChannel
import GraniteLogging
import GraniteStore
import GraniteSupervisor
import TestSupport
import Testing

@testable import granite

struct ServeOptionsTests {
    /// One option: what may be typed, what the environment may say, and what neither may.
    struct Option: Sendable, CustomTestStringConvertible {
        /// GRANITE_…; the option is spelled alike.
        var name: String
        var typed: String
        var inEnvironment: String
        /// nil where any text is a value.
        var bad: String?
        /// The setting as text.
        var setting: @Sendable (ServeSettings) -> String
        /// The setting for `typed` and for `inEnvironment`, where the text is not the same.
        var typedMeans: String?
        var environmentMeans: String?

        var option: String { "--" + name.lowercased().replacingOccurrences(of: "_", with: "-") }
        var testDescription: String { name }
    }

    static func milliseconds(_ duration: Duration) -> String { "\(duration / .milliseconds(1))" }

    static let options: [Option] = [
        Option(name: "HOST", typed: "::1", inEnvironment: "0.0.0.0", setting: \.host),
        Option(name: "PORT", typed: "0", inEnvironment: "65535", bad: "65536") { "\($0.port)" },
        Option(name: "WORKERS", typed: "3", inEnvironment: "5", bad: "0") { "\($0.workers)" },
        Option(name: "BLOCKING_THREADS", typed: "3", inEnvironment: "5", bad: "129") { "\($0.blockingThreads)" },
        Option(name: "BACKPRESSURE", typed: "3", inEnvironment: "5", bad: "0") { "\($0.backpressure)" },
        duration("RESPAWN_INTERVAL", \.respawnInterval), duration("GRACEFUL_TIMEOUT", \.gracefulTimeout),
        duration("STARTUP_TIMEOUT", \.startupTimeout), duration("HEADER_TIMEOUT", \.headerTimeout),
        duration("BODY_TIMEOUT", \.bodyTimeout), duration("KEEP_ALIVE_TIMEOUT", \.keepAliveTimeout),
        limit("REQUEST_TIMEOUT", \.request), limit("REQUEST_KILL_TIMEOUT", \.requestKill),
        limit("STALL_TIMEOUT", \.stall),
        Option(name: "LOG_FORMAT", typed: "json", inEnvironment: "text", bad: "xml") { $0.logFormat.rawValue },
        Option(name: "LOG_FILE", typed: "/tmp/a.log", inEnvironment: "/tmp/b.log") { $0.logFile ?? "" },
        Option(name: "CRASH_DIR", typed: "/tmp/a", inEnvironment: "/tmp/b") { $0.crashDirectory.path },
        Option(name: "BACKTRACE", typed: "full", inEnvironment: "off", bad: "loud") { $0.level.rawValue },
        Option(name: "CHDIR", typed: "/usr", inEnvironment: "/tmp", bad: "/nonexistent", setting: \.directory),
        Option(name: "PYTHON", typed: "/a/python3", inEnvironment: "/b") { $0.python ?? "" },
        size("LIMIT_REQUEST_LINE", bad: "63", \.maxRequestLineBytes),
        size("LIMIT_REQUEST_FIELD_SIZE", bad: "2M", \.maxHeaderFieldBytes),
        size("LIMIT_BODY", bad: "-1", \.maxBodyBytes), size("MAX_RSS", bad: "much", \.maxRSSBytes),
        size("LIMIT_SPILLED_BODIES", bad: "-1", \.maxSpilledBytes),
        size("MIN_BODY_RATE", bad: "fast", \.minimumBodyBytesPerSecond),
        size("MIN_RESPONSE_RATE", bad: "-1", \.minimumWriteBytesPerSecond),
        Option(name: "LIMIT_REQUEST_FIELDS", typed: "3", inEnvironment: "5", bad: "many") { "\($0.maxHeaderFields)" },
    ]

    static func duration(_ name: String, _ path: any KeyPath<ServeSettings, Duration> & Sendable) -> Option {
        Option(
            name: name, typed: "1m30s", inEnvironment: "250ms", bad: "soon",
            setting: { milliseconds($0[keyPath: path]) },
            typedMeans: "90000.0", environmentMeans: "250.0")
    }

    /// 0 is without limit; a stall of less than 2 s is refused.
    static func limit(_ name: String, _ path: any KeyPath<HangPolicy.Limits, Duration?> & Sendable) -> Option {
        Option(
            name: name, typed: "0", inEnvironment: "1m30s", bad: "soon",
            setting: { $0.hangLimits[keyPath: path].map { milliseconds($0) } ?? "never" },
            typedMeans: "never", environmentMeans: "90000.0")
    }

    static func size(_ name: String, bad: String, _ path: any KeyPath<ServeSettings, Int> & Sendable) -> Option {
        Option(
            name: name, typed: "4k", inEnvironment: "128", bad: bad, setting: { "\($0[keyPath: path])" },
            typedMeans: "4096")
    }

    /// Flags, their settings and their defaults.
    static let flags: [(name: String, setting: @Sendable (ServeSettings) -> Bool, isOn: Bool)] = [
        ("RESPAWN_FAILED_WORKERS", \.respawnsFailedWorkers, true), ("ACCESS_LOG", \.accessLog, false),
        ("FACTORY", \.isFactory, false), ("LOCALS", \.keepsLocals, false),
    ]

    func settings(_ arguments: [String] = ["app:app"], _ environment: [String: String] = [:]) throws -> ServeSettings {
        try ServeOptions.parse(arguments).settings(
            environment: environment.merging(["HOME": "/tmp"]) { given, _ in given })
    }

    @Test(arguments: options) func anOptionIsReadFromTheEnvironmentAndTheCommandLineWins(_ option: Option) throws {
        let environment = ["GRANITE_\(option.name)": option.inEnvironment]
        #expect(
            option.setting(try settings(["app:app"], environment)) == option.environmentMeans ?? option.inEnvironment)
        #expect(
            option.setting(try settings(["app:app", option.option, option.typed], environment)) == option.typedMeans
                ?? option.typed)
        let unset = option.setting(try settings())
        #expect(option.setting(try settings(["app:app"], ["GRANITE_\(option.name)": ""])) == unset)
    }

    @Test(arguments: options) func aBadValueIsRefusedByName(_ option: Option) throws {
        guard let bad = option.bad else { return }
        let environment = #expect(throws: (any Error).self) {
            try settings(["app:app"], ["GRANITE_\(option.name)": bad])
        }
        let sentence = environment.map { ServeOptions.message(for: $0) } ?? ""
        // A directory may come from either, and is named by its option.
        #expect(sentence.contains("GRANITE_\(option.name) ") || sentence.contains(option.option), "\(sentence)")
        let typed = #expect(throws: (any Error).self) { try settings(["app:app", option.option, bad]) }
        let typedSentence = typed.map { ServeOptions.message(for: $0) } ?? ""
        #expect(typedSentence.contains(option.option) && !typedSentence.contains("GRANITE_"), "\(typedSentence)")
    }

    @Test(arguments: flags.indices) func aFlagIsReadFromTheEnvironmentAndTheCommandLineWins(index: Int) throws {
        let (name, setting, isOn) = Self.flags[index]
        let option = name.lowercased().replacingOccurrences(of: "_", with: "-")
        #expect(setting(try settings()) == isOn)
        for (text, value) in [("1", true), ("Yes", true), ("on", true), ("0", false), ("false", false)] {
            #expect(setting(try settings(["app:app"], ["GRANITE_\(name)": text])) == value)
        }
        #expect(setting(try settings(["app:app", "--\(option)"], ["GRANITE_\(name)": "0"])))
        #expect(!setting(try settings(["app:app", "--no-\(option)"], ["GRANITE_\(name)": "1"])))
        let error = #expect(throws: (any Error).self) { try settings(["app:app"], ["GRANITE_\(name)": "maybe"]) }
        #expect(error.map { ServeOptions.message(for: $0) } == "GRANITE_\(name) is \"maybe\" and should be 1 or 0.")
    }

    @Test func theApplicationMayComeFromTheEnvironment() throws {
        #expect(try settings([], ["GRANITE_APPLICATION": "shop:app"]).application == "shop:app")
        #expect(try settings(["typed:app"], ["GRANITE_APPLICATION": "shop:app"]).application == "typed:app")
        let error = #expect(throws: (any Error).self) { try settings([]) }
        #expect(error.map { ServeOptions.message(for: $0) }?.hasPrefix("Which application?") == true)
    }

    /// The help promises a variable for each option: none is missing here.
    @Test func everyOptionOfTheHelpIsTested() {
        let help = ServeOptions.helpMessage(columns: 1000)
        let named = Set(help.matches(of: /\[GRANITE_([A-Z_]+)\]/).map { String($0.1) })
        #expect(named == Set(Self.options.map(\.name) + Self.flags.map(\.name) + ["APPLICATION"]))
    }
}
