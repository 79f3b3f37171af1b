// Defines what a test asks of the probe, and what it hears back: one JSON array in, JSON lines out.

package import Foundation

/// A request to send to the application.
package struct ScriptedRequest: Codable, Sendable {
    package var method = "GET"
    /// As sent; path and query are taken from it.
    package var target = "/"
    package var headers: [[String]] = [["Host", "localhost"]]
    /// Latin-1; nil for none.
    package var body: String?
    /// The body lies in an unlinked file, as after spilling.
    package var isBodyInFile = false
    package var minorVersion: UInt8 = 1
    package var remoteAddress = "127.0.0.1"
    package var remotePort: UInt16 = 40_000
    /// The client goes after so many body bytes.
    package var clientLeavesAfter: Int?
    /// The socket takes nothing at once: every write would wait.
    package var isSlow = false
    /// The application thread that serves it; 0 is the main thread.
    package var thread = 0

    package init(_ target: String = "/", _ change: (inout ScriptedRequest) -> Void = { _ in }) {
        self.target = target
        change(&self)
    }
}

/// What came out, in the order in which the requests were sent.
package struct ScriptedAnswer: Codable, Sendable {
    /// 0: no head was sent.
    package var status = 0
    package var reason = ""
    package var headers: [[String]] = []
    package var body = Data()
    /// As given to commit().
    package var bodyLength: Int?
    /// "finish", "fail", or both if both were called.
    package var ending = ""
    /// The calls after the head, "write 5", "flush", "sendfile 10", "finish", "fail".
    package var calls: [String] = []
    /// Waiting calls that found the GIL held.
    package var callsWithGIL = 0

    package init() {}

    package var text: String { String(decoding: body, as: UTF8.self) }

    package func header(_ name: String) -> String? { headers.first { $0[0].lowercased() == name.lowercased() }?[1] }
}

/// One line of the probe's standard output.
package enum ProbeLine: Codable, Sendable {
    case installation(executable: String, prefix: String, version: String, library: String)
    case answer(ScriptedAnswer)
    case failure(description: String, traceback: String?)
    case measurement(name: String, nanosecondsPerRequest: Double)
    case residentBytes(Int)
}
