// Keeps the events of a server under test, and lets a test wait for one.

import GraniteLogging
import GraniteSupervisor
import Logging
import Synchronization

/// A log handler that remembers.
final class EventRecorder: Sendable {
    private struct Waiter {
        let number: Int
        let matches: (ServerEvent) -> Bool
        let continuation: CheckedContinuation<ServerEvent?, Never>
    }
    private struct State {
        var events: [ServerEvent] = []
        var waiters: [Waiter] = []
        var nextNumber = 0
    }
    private let state = Mutex(State())

    /// In the order they were logged.
    var events: [ServerEvent] { state.withLock { $0.events } }

    var log: EventLog { EventLog(logger: Logger(label: "test") { _ in Handler(recorder: self) }) }

    func record(_ event: ServerEvent) {
        let due = state.withLock { state -> [Waiter] in
            state.events.append(event)
            let due = state.waiters.filter { $0.matches(event) }
            state.waiters.removeAll { waiter in due.contains { $0.number == waiter.number } }
            return due
        }
        for waiter in due { waiter.continuation.resume(returning: event) }
    }

    /// The first event, past or future, of which `value` makes something; nil when the test is cancelled.
    func first<Value>(_ value: @escaping @Sendable (ServerEvent) -> Value?) async -> Value? {
        let number = state.withLock { state in
            state.nextNumber += 1
            return state.nextNumber
        }
        let event = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<ServerEvent?, Never>) in
                let known = state.withLock { state -> ServerEvent? in
                    if let event = state.events.first(where: { value($0) != nil }) { return event }
                    state.waiters.append(
                        Waiter(number: number, matches: { value($0) != nil }, continuation: continuation))
                    return nil
                }
                if let known { continuation.resume(returning: known) }
            }
        } onCancel: {
            let waiter = state.withLock { state -> Waiter? in
                guard let index = state.waiters.firstIndex(where: { $0.number == number }) else { return nil }
                return state.waiters.remove(at: index)
            }
            waiter?.continuation.resume(returning: nil)
        }
        return event.flatMap(value)
    }

    private struct Handler: LogHandler {
        let recorder: EventRecorder
        var metadata: Logger.Metadata = [:]
        var metadataProvider: Logger.MetadataProvider?
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        init(recorder: EventRecorder) { self.recorder = recorder }
        func log(event: Logging.LogEvent) {
            if let event = EventLog.event(in: event.metadata) as? ServerEvent { recorder.record(event) }
        }
    }
}

extension EventRecorder {
    /// The worker that was started in this place.
    func started(_ slot: Int, generation: Int = 1) async throws -> WorkerIdentity {
        try require(
            await first {
                if case .workerStarted(let id) = $0, id.slot == slot, id.generation == generation { id } else { nil }
            })
    }

    func ready(_ slot: Int, generation: Int = 1) async throws -> WorkerIdentity {
        try require(
            await first {
                if case .workerReady(let id, _) = $0, id.slot == slot, id.generation == generation { id } else { nil }
            })
    }

    func exited(_ slot: Int, generation: Int = 1) async throws -> ServerEvent.WorkerExited {
        try require(
            await first {
                if case .workerExited(let exited) = $0, exited.worker.slot == slot,
                    exited.worker.generation == generation
                {
                    exited
                } else {
                    nil
                }
            })
    }

    func respawned(_ slot: Int, generation: Int = 2) async throws -> ServerEvent.WorkerRespawned {
        try require(
            await first {
                if case .workerRespawned(let event) = $0, event.worker.slot == slot,
                    event.worker.generation == generation
                {
                    event
                } else {
                    nil
                }
            })
    }

    func named(_ name: String) async throws -> ServerEvent { try require(await first { $0.name == name ? $0 : nil }) }

    /// Names of all events but output, in order.
    var names: [String] { events.map(\.name).filter { !$0.hasSuffix("output") } }

    private func require<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw CancellationError() }
        return value
    }
}
