import Foundation
import GraniteLinux
import Testing

@testable import GraniteSupervisor

/// What a worker says arrives, whatever its length.
struct WorkerStatusTests {
    private func sent(_ status: WorkerStatus) throws -> WorkerStatus? {
        let (sending, receiving) = try Descriptor.makeMessageSockets()
        #expect(status.send(over: sending.number))
        var buffer = [UInt8](repeating: 0, count: WorkerStatus.maxMessageBytes)
        let count = recv(receiving.number, &buffer, buffer.count, 0)
        return WorkerStatus(message: Array(buffer[..<max(0, count)]))
    }

    /// The last 8192 bytes alone were kept: the sentence that the operator needs was lost.
    @Test func ofALongMessageTheSentenceAndTheEndArrive() throws {
        let frames = (1...2000).map { "  line \($0) \u{1}é" }
        let message = (["The application cannot be loaded."] + frames + ["NameError: x"]).joined(separator: "\n")
        guard case .failed(3, let arrived)? = try sent(.failed(code: 3, message: message)) else {
            Issue.record("nothing arrived")
            return
        }
        #expect(arrived.hasPrefix("The application cannot be loaded.\n…"))
        #expect(arrived.hasSuffix("\n  line 2000 \u{1}é\nNameError: x"))
        #expect(arrived.utf8.count <= 8192)
    }

    @Test func aLongSentenceIsCut() throws {
        let message = String(repeating: "x", count: 100_000)
        #expect(
            try sent(.failed(code: 3, message: message))
                == .failed(code: 3, message: String(repeating: "x", count: 2048) + "…"))
    }

    @Test(arguments: [WorkerStatus.ready, .stopping, .failed(code: 4, message: "No libpython.\nTried:\n  /usr")])
    func shortMessagesArriveAsTheyAre(status: WorkerStatus) throws { #expect(try sent(status) == status) }
}
