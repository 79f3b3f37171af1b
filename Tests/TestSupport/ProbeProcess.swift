// Starts a collector or a probe as the supervisor does: with descriptors at agreed numbers. It is separate from Command, which hands down
// standard streams alone and waits for the end.

import Foundation

package enum ProbeProcess {
    /// Two connected sockets of messages, closed in whatever is executed.
    ///
    /// - Throws: POSIXError.
    package static func socketPair() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EMFILE)
        }
        return (ends[0], ends[1])
    }

    /// Starts a program without the environment of a server and without Swift's own backtracer. The caller waits for its end.
    ///
    /// Returns its process id: no pid_t, which would make the import of this file one of its interface, and only in debug builds.
    ///
    /// - Parameter descriptors: the caller's, each with the number that the program finds it at.
    /// - Throws: POSIXError.
    package static func spawn(_ path: String, _ arguments: [String], descriptors: [Int32: Int32]) throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // As the supervisor does: the thread that runs this blocks most signals, SIGABRT among them, and a mask is inherited.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var open = sigset_t()
        sigemptyset(&open)
        posix_spawnattr_setsigmask(&attributes, &open)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        // Copies above all targets: one descriptor's target may be another's number.
        let copies = descriptors.map { (fcntl($0.key, F_DUPFD_CLOEXEC, 64), $0.value) }
        defer { for (copy, _) in copies { close(copy) } }
        for (copy, target) in copies { posix_spawn_file_actions_adddup2(&actions, copy, target) }
        var variables = Foundation.ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("GRANITE_") }
        variables["SWIFT_BACKTRACE"] = "enable=no"
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (words + environment).forEach { free($0) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &actions, &attributes, &words, &environment)
        guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .EINVAL) }
        return pid
    }
}
