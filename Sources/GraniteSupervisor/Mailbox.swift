// Carries commands from any thread to the supervisor's.

import CLinux
import Glibc
import GraniteLinux
import Synchronization

/// What an operator, or the program around the supervisor, may ask for.
enum SupervisorCommand: Sendable, Equatable {
    /// Stop gracefully; said why.
    case stop(reason: String)
    /// Do not wait any longer.
    case hasten
    case reload
    case reopenLog
}

/// Commands on their way, and a descriptor that becomes readable when there are some.
final class Mailbox: Sendable {
    let descriptor: Descriptor
    private let commands = Mutex<[SupervisorCommand]>([])

    init() throws(SupervisorError) {
        descriptor = Descriptor(try systemCall("eventfd") { granite_eventfd() })
    }

    /// May be called from any thread.
    func post(_ command: SupervisorCommand) {
        commands.withLock { $0.append(command) }
        var one: UInt64 = 1
        _ = write(descriptor.number, &one, MemoryLayout<UInt64>.size)
    }

    /// Called by the supervisor's thread.
    func take() -> [SupervisorCommand] {
        var count: UInt64 = 0
        _ = read(descriptor.number, &count, MemoryLayout<UInt64>.size)
        return commands.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
