// Runs CrashProbe with a page and a memory socket of the test's, and a collector of the test's at the other end.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import TestSupport

/// One run of CrashProbe, ended.
struct ProbeRun {
    var ending: Command.Ending
    var page: CrashPage
    var pid: pid_t
    /// One for each capture that reached stage E.
    var hellos: [granite_memory_hello]

    /// What the test does each time the worker says hello.
    typealias Collector = @Sendable (CrashPage, MemorySocket) throws -> Void

    /// Answers at once that it has all it wants.
    static let satisfied: Collector = { _, socket in try socket.finish() }
    /// Never says anything.
    static let hung: Collector = { _, _ in }

    /// Runs the named case. `collector` nil: the probe gets no memory socket.
    static func run(
        _ name: String, level: String = "short", serveDeadline: Duration = .seconds(20),
        parkDeadline: Duration = .seconds(20),
        argument: String = "", environment: [String: String] = [:], collector: Collector? = satisfied
    ) async throws -> ProbeRun {
        try await withCheckedThrowingContinuation { continuation in
            // A thread of its own: the run blocks, and the tests' pool has few threads.
            Thread {
                continuation.resume(
                    with: Result {
                        try runBlocking(
                            name, level: level, serveDeadline: serveDeadline, parkDeadline: parkDeadline,
                            argument: argument,
                            environment: environment, collector: collector)
                    })
            }.start()
        }
    }

    private static func runBlocking(
        _ name: String, level: String, serveDeadline: Duration, parkDeadline: Duration, argument: String,
        environment: [String: String],
        collector: Collector?
    ) throws -> ProbeRun {
        let descriptor = try CrashPage.make(crashID: "01TEST", slot: 1, generation: 1, level: level == "full" ? 2 : 1)
        defer { close(descriptor) }
        let page = try CrashPage(descriptor: descriptor)
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw POSIXError(.EMFILE)
        }
        defer { close(ends[0]) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var arguments = [
            BuildProducts.executable("CrashProbe").path, name, "--level", level, "--page-fd", "10", "--argument",
            argument,
            "--serve-deadline-ms", milliseconds(serveDeadline), "--park-deadline-ms", milliseconds(parkDeadline),
        ]
        posix_spawn_file_actions_adddup2(&actions, descriptor, 10)
        if collector != nil {
            posix_spawn_file_actions_adddup2(&actions, ends[1], 11)
            arguments += ["--memory-socket", "11"]
        }
        var variables = Foundation.ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("GRANITE_") }
        variables["SWIFT_BACKTRACE"] = "enable=no"
        variables.merge(environment) { $1 }
        // As the supervisor does: the threads of the tests block signals that the probe raises.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let error = withCStrings(arguments) { words in
            withCStrings(variables.map { "\($0.key)=\($0.value)" }) {
                posix_spawn(&pid, words[0]!, &actions, &attributes, words, $0)
            }
        }
        close(ends[1])
        guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .EINVAL) }

        var run = ProbeRun(ending: .killedByTest, page: page, pid: pid, hellos: [])
        try run.attend(MemorySocket(descriptor: ends[0]), collector: collector)
        return run
    }

    /// Serves the memory socket until the process is dead; kills it after a minute.
    private mutating func attend(_ socket: MemorySocket, collector: Collector?) throws {
        let process = granite_pidfd_open(pid)
        defer { close(process) }
        var watched = [
            pollfd(fd: process, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        var killed = false
        while true {
            let ready = poll(&watched, 2, 60_000)
            if ready == 0 {
                kill(pid, SIGKILL)
                killed = true
                continue
            }
            if watched[1].revents & Int16(POLLIN) != 0 {
                switch socket.receive(granite_memory_hello.self) {
                case .message(let hello):
                    hellos.append(hello)
                    try collector?(page, socket)
                case .other: break  // a reply that the collector did not want
                case .closed: watched[1].fd = -1
                }
            } else if watched[1].revents != 0 {
                watched[1].fd = -1
            }
            guard watched[0].revents != 0 else { continue }
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            if !killed { ending = status & 0x7f == 0 ? .code(status >> 8 & 0xff) : .signal(status & 0x7f) }
            return
        }
    }

    private static func milliseconds(_ duration: Duration) -> String {
        String(duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000)
    }
}

/// The collector's end of the memory socket.
struct MemorySocket: Sendable {
    let descriptor: Int32

    func send(_ requests: [granite_memory_request]) throws {
        let sent = requests.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard sent == requests.count * MemoryLayout<granite_memory_request>.size else { throw POSIXError(.EIO) }
    }

    func finish() throws {
        try send([granite_memory_request(operation: GRANITE_MEMORY_DONE.rawValue, length: 0, address: 0)])
    }

    /// One reply: its header and its bytes.
    func receiveReply() throws -> (header: granite_memory_reply, bytes: [UInt8]) {
        var buffer = [UInt8](
            repeating: 0, count: MemoryLayout<granite_memory_reply>.size + Int(GRANITE_MEMORY_MAX_READ))
        let size = recv(descriptor, &buffer, buffer.count, 0)
        guard size >= MemoryLayout<granite_memory_reply>.size else { throw POSIXError(.EIO) }
        let header = buffer.withUnsafeBytes { $0.loadUnaligned(as: granite_memory_reply.self) }
        return (header, Array(buffer[MemoryLayout<granite_memory_reply>.size..<size]))
    }

    enum Received<Message> {
        case message(Message)
        case other
        case closed
    }

    /// The next message, if it has this type's size.
    func receive<Message: BitwiseCopyable>(_ type: Message.Type) -> Received<Message> {
        var buffer = [UInt8](repeating: 0, count: Int(GRANITE_MEMORY_MAX_READ) + 64)
        let size = recv(descriptor, &buffer, buffer.count, 0)
        guard size > 0 else { return .closed }
        guard size == MemoryLayout<Message>.size else { return .other }
        return .message(buffer.withUnsafeBytes { $0.loadUnaligned(as: Message.self) })
    }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    pointers.append(nil)
    defer { pointers.forEach { free($0) } }
    return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
