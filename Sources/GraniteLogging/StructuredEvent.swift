// Defines what an event is to the log: a stable name with fields for machines, a sentence for people.
// It is separate from the events themselves, which belong to whoever they happen to.

package import Logging

/// Something that happened, told once: as a JSON object or as a readable sentence.
package protocol StructuredEvent: Sendable, CustomStringConvertible {
    /// The stable name, `worker.exited`; part of the interface.
    var name: String { get }
    var level: Logger.Level { get }
    /// What comes after `time`, `level` and `event` in JSON, in order.
    var fields: [FieldValue.Field] { get }
    /// One sentence without a full stop, for a person.
    var sentence: String { get }
    /// Lines that belong below the sentence, without indentation.
    var details: [String] { get }
}

extension StructuredEvent {
    package var details: [String] { [] }
    package var description: String { sentence }
}

/// Writes events to a swift-log `Logger`: the message is the event's name, the event itself rides in the metadata, so that
/// ``LineLogHandler`` writes it whole and any other handler still prints its sentence.
package struct EventLog: Sendable {
    /// The metadata key that carries the event.
    package static let metadataKey = "event"

    package let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    /// May be called from any thread.
    package func record(_ event: some StructuredEvent) {
        logger.log(level: event.level, "\(event.name)", metadata: [Self.metadataKey: .stringConvertible(event)])
    }

    /// The event that `metadata` carries.
    package static func event(in metadata: Logger.Metadata?) -> (any StructuredEvent)? {
        guard case .stringConvertible(let value)? = metadata?[metadataKey] else { return nil }
        return value as? any StructuredEvent
    }
}
