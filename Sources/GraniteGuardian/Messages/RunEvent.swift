// Defines what `granite-crash run` tells, as fields for machines and as a sentence for people; the names are those of a server's events.

package import GraniteLogging
package import GraniteReport
package import Logging

package enum RunEvent: StructuredEvent, Equatable {
    /// `signal` is what the process died of; nil: the report is of something else.
    case reported(CapturedProcess, signal: Int32?, CrashSummary)
    case reportFailed(CapturedProcess, reason: String)
    case counted(CapturedProcess, CountedOccasion)
    case complaint(String)

    /// The event of a message; nil: it is for run alone.
    package init?(_ message: GuardianMessage) {
        switch message {
        case .reported(let process, let signal, let summary): self = .reported(process, signal: signal, summary)
        case .failed(let process, let reason): self = .reportFailed(process, reason: reason)
        case .counted(let process, let occasion): self = .counted(process, occasion)
        case .complaint(let sentence): self = .complaint(sentence)
        case .settled: return nil
        }
    }

    package var name: String {
        switch self {
        case .reported: "crash.reported"
        case .reportFailed: "crash.report_failed"
        case .counted: "crash.counted"
        case .complaint: "capture.problem"
        }
    }

    package var level: Logger.Level {
        switch self {
        case .reported(_, let signal, _): signal == nil ? .warning : .error
        case .reportFailed: .error
        case .counted, .complaint: .warning
        }
    }

    package var fields: [FieldValue.Field] {
        switch self {
        case .reported(let process, let signal, let summary):
            [process.field]
                + (signal.map { [.init("signal", .string(SignalName.name(Int($0))))] } ?? [])
                + [.init("alive", .boolean(summary.goesOn)), .init("crash", .object(summary.fields))]
        case .reportFailed(let process, let reason): [process.field, .init("reason", .string(reason))]
        case .counted(let process, let occasion): [process.field] + occasion.fields
        case .complaint(let sentence): [.init("message", .string(sentence))]
        }
    }

    package var sentence: String {
        switch self {
        case .reported(let process, let signal, let summary):
            "\(process.phrase)\(signal.map { " died of \(SignalName.name(Int($0)))" } ?? ""): \(summary.reason)"
        case .reportFailed(let process, let reason): "no report of \(process.phrase): \(reason)"
        case .counted(let process, let occasion): "\(process.phrase): \(occasion.phrase)"
        case .complaint(let sentence): sentence
        }
    }
}

extension CapturedProcess {
    fileprivate var field: FieldValue.Field {
        .init("process", .object([.init("pid", .integer(Int(pid))), .init("program", .string(program))]))
    }

    /// `python3 (pid 4711)`.
    fileprivate var phrase: String { "\(TerminalText.bounded(program, scalars: 63)) (pid \(pid))" }
}

extension CountedOccasion {
    /// How many have no report.
    package var uncaptured: Int { max(0, max(0, count ?? 0) - max(0, captured ?? 0)) }

    /// `WSGIProtocol is unsendable, but is being dropped on another thread: 6,290 more like it were only counted`.
    fileprivate var phrase: String {
        var what = [message, subject].compactMap { $0 }.first { !$0.isEmpty } ?? kind?.rawValue ?? "something"
        what = TerminalText.bounded(what, scalars: 200)
        while what.last == "." || what.last == ":" { what.removeLast() }
        let number = uncaptured
        return "\(what): \(Quantity.grouped(number)) more like it \(number == 1 ? "was" : "were") only counted"
    }

    fileprivate var fields: [FieldValue.Field] {
        var fields: [FieldValue.Field] = []
        if let kind { fields.append(.init("kind", .string(kind.rawValue))) }
        if let subject { fields.append(.init("subject", .string(subject))) }
        if let message { fields.append(.init("message", .string(message))) }
        fields += [.init("count", .integer(count ?? 0)), .init("captured", .integer(captured ?? 0))]
        if let overSeconds { fields.append(.init("over_s", .number(overSeconds))) }
        return fields
    }
}

extension CrashSummary {
    /// Whether the process lives on.
    fileprivate var goesOn: Bool { CrashReport.Kind(rawValue: kind)?.goesOn ?? false }

    fileprivate var fields: [FieldValue.Field] {
        var fields: [FieldValue.Field] = [
            .init("id", .string(id)), .init("kind", .string(kind)), .init("reason", .string(reason)),
        ]
        if let category { fields.append(.init("category", .string(category))) }
        if let confidence { fields.append(.init("confidence", .string(confidence))) }
        if let memory { fields.append(.init("memory", .string(memory))) }
        fields.append(.init("top", .array(top.map { .string($0) })))
        if let fingerprint { fields.append(.init("fingerprint", .string(fingerprint))) }
        fields.append(.init("complete", .boolean(complete)))
        if let report { fields.append(.init("report", .string(report))) }
        return fields
    }
}
