// A guardian that strangers speak to: only who says hello as it should is followed, to its end.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import GraniteGuardian
import GraniteLinux
import GraniteReport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct GuardianTests {
    /// A guardian on a thread, with this test as run and as its collector.
    private final class Stage: Sendable {
        let socket: GuardianSocket
        private let ended = Mutex(false)
        var hasEnded: Bool { ended.withLock { $0 } }
        let control = Mutex<Descriptor?>(nil)

        init(run: Descriptor) throws {
            socket = try #require(GuardianSocket())
            let thread = Thread { [self] in
                let guardian = Guardian(
                    listener: socket.listener, run: run, reportsExits: false, maxProcesses: 4
                ) { [self] in
                    let (own, other) = Descriptor.messageSockets() ?? (Descriptor(-1), Descriptor(-1))
                    control.withLock { $0 = own }
                    return other
                }
                guardian.serve()
                ended.withLock { $0 = true }
            }
            thread.start()
        }
    }

    @Test func onlyAProperHelloIsHeardAndItsEndIsTold() async throws {
        var ends = Descriptor.messageSockets()
        let stage = try Stage(run: try #require(ends?.1))
        var run: MessageLink<GuardianMessage, RunMessage>? = MessageLink(try #require(ends?.0))
        ends = nil
        let client = try hostile(stage.socket.name)
        defer { client.send(signal: SIGKILL) }
        #expect(await Command.eventually { client.standardOutput.contains("said") }, "\(client.standardError)")
        #expect(await Command.eventually { stage.control.withLock { $0 != nil } })
        var collector: MessageLink<SupervisorMessage, CollectorMessage>? = stage.control.withLock { control in
            defer { control = nil }
            return control.map { MessageLink($0) }
        }
        var told: [SupervisorMessage] = []
        func hear() -> [SupervisorMessage] {
            told += collector?.receive() ?? []
            return told
        }
        #expect(await Command.eventually { !hear().isEmpty })
        guard case .watch(let watch)? = told.first else { throw Unexpected(told: told) }
        #expect(watch.program == "\u{1B}[31mprobe")
        #expect(ULID.isValid(watch.crashID))
        #expect(watch.pid == client.pid)

        client.send(signal: SIGSEGV)
        #expect(await Command.eventually { hear().count > 1 })
        guard case .exited(let exited)? = told.last else { throw Unexpected(told: told) }
        #expect(told.count == 2)
        #expect(exited.crashID == watch.crashID)
        // Its parent reaps it at once: before Linux 6.15 nobody else can be told how it ended.
        #expect(exited.waitStatus == SIGSEGV || exited.expected)

        // The program is over, nobody is left: the collector is asked to finish, then run may end, then the guardian does.
        run?.send(.started(pid: 1))
        run?.send(.ended(pid: 1, waitStatus: 0, resources: ResourceUsage()))
        #expect(
            await Command.eventually {
                _ = hear()
                return collector?.isOpen == false
            })
        collector = nil
        var news: [GuardianMessage] = []
        #expect(
            await Command.eventually {
                news += run?.receive() ?? []
                return news.contains(.settled)
            })
        #expect(!stage.hasEnded)
        run = nil
        #expect(await Command.eventually { stage.hasEnded })
    }

    /// Fixtures/hello.py: says much that is wrong, then a proper hello.
    private func hostile(_ name: String) throws -> Command {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/hello.py")
        let size = UInt64(GRANITE_SNAPSHOT_OFFSET) + UInt64(GRANITE_SNAPSHOT_CAPACITY)
        return try Command(
            URL(fileURLWithPath: "/usr/bin/env"),
            [
                "python3", script.path, name, "\(size)", "\(GRANITE_PAGE_VERSION)",
                "\(GRANITE_PAGE_HEADER_SIZE.rawValue)",
            ])
    }

    private struct Unexpected: Error {
        var told: [SupervisorMessage]
    }
}
