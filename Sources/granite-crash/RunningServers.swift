// Finds the running servers of a crash directory and the worker that is meant. It is separate so that the command reads as what it prints.

import Glibc
import GraniteCrashChannel

/// The servers that answer.
struct RunningServers {
    struct Refusal: Error {
        var sentence: String
    }

    private struct Server {
        var pid: Int32
        var socket: Int32
        var workers: [ServerReply.Worker]

        var phrase: String {
            "server \(pid) ("
                + (workers.isEmpty
                    ? "no workers" : workers.map { "worker \($0.slot) pid \($0.pid)" }.joined(separator: ", "))
                + ")"
        }
    }

    let crashDirectory: String

    /// Asks for a dump of the worker with that pid or slot (nil: the only one) and waits for its report.
    ///
    /// - Returns: the report's id.
    func dump(_ number: Int32?, server wanted: Int32?) throws(Refusal) -> String {
        var servers: [Server] = []
        var silent = 0
        for socket in ServerSocket.connections(crashDirectory: crashDirectory) {
            if case .workers(let pid, let workers) = ServerSocket.ask(.workers, over: socket, timeoutSeconds: 1) {
                servers.append(Server(pid: pid, socket: socket, workers: workers))
            } else {
                silent += 1
                close(socket)
            }
        }
        defer { for server in servers { close(server.socket) } }
        let (server, worker) = try choose(
            number, among: servers.filter { wanted == nil || $0.pid == wanted }, all: servers, silent: silent)
        let timeout = ServerSocket.answerSeconds + ServerSocket.reportSeconds + 2
        switch ServerSocket.ask(.dump(pid: worker), over: server.socket, timeoutSeconds: timeout) {
        case .dumped(let id, _): return id
        case .refused(let reason): throw Refusal(sentence: "No dump: \(reason).")
        case .workers, nil:
            throw Refusal(sentence: "No dump: the server \(server.pid) did not answer within \(timeout) s.")
        }
    }

    private func choose(_ number: Int32?, among servers: [Server], all: [Server], silent: Int) throws(Refusal) -> (
        Server, Int32
    ) {
        let silence =
            switch silent {
            case 0: ""
            case 1: " One server did not answer within 1 s: it is stopped or very busy."
            default: " \(silent) servers did not answer within 1 s: they are stopped or very busy."
            }
        guard !servers.isEmpty else {
            if all.isEmpty, silent > 0 { throw Refusal(sentence: "No dump.\(silence)") }
            throw Refusal(
                sentence: all.isEmpty
                    ? "No running server keeps its reports in \(crashDirectory). Name the directory with --crash-dir; a server with --backtrace off cannot be asked."
                    : "There is no such server here, only \(list(all)).\(silence)")
        }
        let candidates = servers.flatMap { server in server.workers.map { (server, $0) } }
        // A pid is the surer name; a slot may be filled twice, during a reload.
        if let number, let match = candidates.first(where: { $0.1.pid == number }) { return (match.0, match.1.pid) }
        let matches = number.map { number in candidates.filter { $0.1.slot == Int(number) } } ?? candidates
        guard let match = matches.first else {
            throw Refusal(
                sentence:
                    "There is no worker \(number.map { "\($0)" } ?? "at all"), only \(list(servers)).\(silence)"
            )
        }
        guard matches.count == 1 else {
            throw Refusal(
                sentence:
                    "\(number.map { "\"\($0)\" means" } ?? "There are") several workers; name one by its pid: \(list(servers))."
            )
        }
        return (match.0, match.1.pid)
    }

    private func list(_ servers: [Server]) -> String { servers.map(\.phrase).joined(separator: "; ") }
}
