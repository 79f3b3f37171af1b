// Runs a program as a login shell would: no signal blocked, no descriptor open but the standard three. What the tests' own process has of
// both would be taken for the library's doing.

import CLinux
import Foundation
import TestSupport

/// A program to be run to its end, without input.
struct FreshProgram: Sendable {
    var path: String
    var arguments: [String]
    /// Added to the test's own; nil values are removed.
    var environment: [String: String?]

    /// Its end and what it wrote; it is killed after a minute.
    func run() async throws -> (ending: Command.Ending, output: String, errors: String) {
        try await withCheckedThrowingContinuation { continuation in
            // A thread of its own: the run blocks, and the tests' pool has few threads.
            Thread { continuation.resume(with: Result { try runBlocking() }) }.start()
        }
    }

    private func runBlocking() throws -> (ending: Command.Ending, output: String, errors: String) {
        let output = FileHandle(fileDescriptor: granite_memfd_create("output"), closeOnDealloc: true)
        let errors = FileHandle(fileDescriptor: granite_memfd_create("errors"), closeOnDealloc: true)
        let pid = try spawn(output: output.fileDescriptor, errors: errors.fileDescriptor)
        let ending = try end(of: pid)
        try output.seek(toOffset: 0)
        try errors.seek(toOffset: 0)
        return (
            ending, String(decoding: try output.readToEnd() ?? Data(), as: UTF8.self),
            String(decoding: try errors.readToEnd() ?? Data(), as: UTF8.self)
        )
    }

    private func spawn(output: Int32, errors: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        granite_spawn_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var variables = Foundation.ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value }
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var settings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (words + settings).forEach { free($0) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &actions, &attributes, &words, &settings)
        guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .EINVAL) }
        return pid
    }

    private func end(of pid: pid_t) throws -> Command.Ending {
        let process = granite_pidfd_open(pid)
        defer { close(process) }
        var watched = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
        let ended = poll(&watched, 1, 60_000) > 0
        if !ended { kill(pid, SIGKILL) }
        var status: Int32 = 0
        guard waitpid(pid, &status, 0) == pid else { throw POSIXError(.ECHILD) }
        guard ended else { return .killedByTest }
        return status & 0x7f == 0 ? .code(status >> 8 & 0xff) : .signal(status & 0x7f)
    }
}
