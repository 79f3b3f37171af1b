// Defines the swift-log handler of granite: one JSON object a line, or text for a person. Supervisor and workers use the same.

package import Logging

/// How log lines look.
package enum LogFormat: String, Sendable, Codable, CaseIterable {
    case json
    case text
}

/// Writes log messages and ``StructuredEvent``s to a ``LogOutput``.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level = .info

    private let output: LogOutput
    private let format: LogFormat
    private let theme: Theme
    private let clock: @Sendable () -> UInt64

    /// - Parameter clock: nanoseconds since 1970; tests give their own.
    package init(
        output: LogOutput, format: LogFormat, theme: Theme = .plain,
        clock: @escaping @Sendable () -> UInt64 = { LogTimestamp.now() }
    ) {
        self.output = output
        self.format = format
        self.theme = theme
        self.clock = clock
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: Logging.LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { _, new in new } }
        if let given = event.metadata { merged.merge(given) { _, new in new } }
        let line: [UInt8]
        let time = clock()
        if let structured = EventLog.event(in: merged) {
            switch format {
            case .json:
                line = Self.json(time: time, level: event.level, name: structured.name, fields: structured.fields)
            case .text:
                line = Self.text(
                    time: time, level: event.level, sentence: structured.sentence, details: structured.details,
                    theme: theme)
            }
        } else {
            let pairs = merged.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
            switch format {
            case .json:
                let fields =
                    [FieldValue.Field("message", .string("\(event.message)"))]
                    + pairs.map { FieldValue.Field($0.0, .string($0.1)) }
                line = Self.json(time: time, level: event.level, name: "log", fields: fields)
            case .text:
                let suffix = pairs.map { " \($0.0)=\($0.1)" }.joined()
                line = Self.text(
                    time: time, level: event.level, sentence: "\(event.message)\(suffix)", details: [], theme: theme)
            }
        }
        output.write(line) { Self.notice(ofLost: $0, format: format, theme: theme, time: time) }
    }

    /// The line that tells of lines which ``LogOutput`` had to drop: `log.lost`.
    package static func notice(
        ofLost lines: Int, format: LogFormat, theme: Theme = .plain, time: UInt64 = LogTimestamp.now()
    ) -> [UInt8] {
        switch format {
        case .json: json(time: time, level: .warning, name: "log.lost", fields: [.init("lines", .integer(lines))])
        case .text:
            text(
                time: time, level: .warning,
                sentence: "\(lines) line\(lines == 1 ? "" : "s") of the log were lost: nobody read them in time",
                details: [],
                theme: theme)
        }
    }

    private static func json(time: UInt64, level: Logger.Level, name: String, fields: [FieldValue.Field]) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        line.append(contentsOf: #"{"time":""#.utf8)
        var timestamp = LogTimestamp()
        timestamp.append(nanoseconds: time, to: &line)
        line.append(contentsOf: #"","level":"\#(level.rawValue)","event":"#.utf8)
        line.appendJSONString(name)
        for field in fields {
            line.append(UInt8(ascii: ","))
            line.appendJSON(field)
        }
        line.append(contentsOf: "}\n".utf8)
        return line
    }

    private static func text(time: UInt64, level: Logger.Level, sentence: String, details: [String], theme: Theme)
        -> [UInt8]
    {
        var line: [UInt8] = []
        line.append(contentsOf: theme.dim.utf8)
        var timestamp = LogTimestamp()
        timestamp.append(nanoseconds: time, to: &line)
        line.append(contentsOf: "\(theme.reset) \(theme.start(of: level))\(label(of: level))".utf8)
        line.appendPrintable(sentence)
        line.append(contentsOf: "\(theme.start(of: level).isEmpty ? "" : theme.reset)\n".utf8)
        for detail in details {
            line.append(contentsOf: "    ".utf8)
            line.appendPrintable(detail)
            line.append(UInt8(ascii: "\n"))
        }
        return line
    }

    private static func label(of level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "debug   "
        case .info, .notice: "info    "
        case .warning: "warning "
        case .error, .critical: "error   "
        }
    }
}

extension [UInt8] {
    /// Appends `text` without control characters: what a stranger sent must not steer the reader's terminal or forge a line.
    mutating func appendPrintable(_ text: String) {
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0..<0x20, 0x7F..<0xA0: append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".utf8)
            default: append(contentsOf: Unicode.UTF8.encode(scalar) ?? Unicode.UTF8.encodedReplacementCharacter)
            }
        }
    }
}
