// Defines what `granite-crash` and a running server say to each other over the server's control socket: one JSON object a message.
// It is separate because both sit on different floors and neither imports the other.

/// To a server.
package enum ServerRequest: Codable, Sendable, Equatable {
    /// Which workers are there?
    case workers
    /// Capture this worker and let it go on. Answered when the report is stored.
    case dump(pid: Int32)
}

/// From a server, one for each request.
package enum ServerReply: Codable, Sendable, Equatable {
    case workers(server: Int32, [Worker])
    /// The report's id and path.
    case dumped(id: String, report: String?)
    /// A sentence that says why not.
    case refused(String)

    package struct Worker: Codable, Sendable, Equatable {
        package var slot: Int
        package var pid: Int32
        package init(slot: Int, pid: Int32) {
            self.slot = slot
            self.pid = pid
        }
    }
}

/// Where servers listen: `servers/ID.sock` in the crash directory, 0600 in a 0700 folder.
package enum ServerSocket {
    package static let folder = "servers"
    package static let suffix = ".sock"
    /// The longest message either way.
    package static let maxMessageBytes = 64 * 1024
    /// How long a server waits for a worker that does not answer, and for its report.
    package static let answerSeconds = 5
    package static let reportSeconds = 20
}
