// Starts a program by posix_spawn(3) with exactly the descriptors it is meant to have, and watches it by pidfd.
// It is separate because workers and collector are started alike.

import CLinux
import Glibc
import GraniteLinux
import GraniteReport

/// A child of this process. It is reaped by ``reap()`` alone: waitpid(-1) would take children that are not ours to take.
struct ChildProcess {
    let pid: pid_t
    /// Readable when the child is dead (pidfd_open(2)).
    let pidfd: Descriptor

    /// What a child is started with.
    struct Recipe {
        var executable: String
        /// Without the program's name.
        var arguments: [String]
        /// Added to our own environment.
        var environment: [(name: String, value: String)] = []
        /// What the child finds open, by its number there; standard streams not named here are inherited, all else is closed.
        /// Whoever calls ``ChildProcess/spawn(_:)`` keeps the sources open meanwhile.
        var descriptors: [(source: Int32, target: Int32)] = []
        /// Whether a Ctrl-C on the terminal is kept from it.
        var ownProcessGroup = false
    }

    /// Starts the program: default signal dispositions, no blocked signal. An executable that cannot be executed is an error here.
    static func spawn(_ recipe: Recipe) throws(SupervisorError) -> ChildProcess {
        // Sources are moved above every target first, or one dup2 could overwrite the source of the next.
        let highest = recipe.descriptors.map(\.target).max() ?? 2
        var moved: [Descriptor] = []
        for (source, _) in recipe.descriptors {
            moved.append(Descriptor(try systemCall("fcntl") { fcntl(source, F_DUPFD_CLOEXEC, highest + 1) }))
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (copy, (_, target)) in zip(moved, recipe.descriptors) {
            posix_spawn_file_actions_adddup2(&actions, copy.number, target)
        }
        // Also what whoever started us left open without close-on-exec.
        granite_spawn_close_from(&actions, max(3, highest + 1))

        let name = recipe.executable.split(separator: "/").last.map { String($0) } ?? recipe.executable
        var pid = pid_t()
        // Actions hold numbers alone: without this the copies could be closed after their last use above.
        let error = withExtendedLifetime(moved) {
            withCStrings([name] + recipe.arguments) { arguments in
                withCStrings(environment(adding: recipe.environment)) { environment in
                    SpawnAttributes.withDefaultSignals(flags: recipe.ownProcessGroup ? POSIX_SPAWN_SETPGROUP : 0) {
                        posix_spawn(&pid, recipe.executable, &actions, $0, arguments, environment)
                    }
                }
            }
        }
        guard error == 0 else { throw SupervisorError(code: .cannotSpawn, errno: error, subject: recipe.executable) }
        let pidfd = granite_pidfd_open(pid)
        guard pidfd >= 0 else {
            // Without a pidfd nobody would notice its death: take it back.
            let reason = errno
            kill(pid, SIGKILL)
            waitForEnd(of: pid)
            throw SupervisorError(code: .systemCall, errno: reason, subject: "pidfd_open")
        }
        return ChildProcess(pid: pid, pidfd: Descriptor(pidfd))
    }

    /// The status of waitpid(2) and what the child used, once it is dead; nil before. After that the pid may be another's.
    func reap() -> (status: Int32, resources: ResourceUsage)? {
        var status: Int32 = 0
        var usage = rusage()
        var reaped: pid_t
        repeat { reaped = wait4(pid, &status, WNOHANG, &usage) } while reaped < 0 && errno == EINTR
        if reaped == 0 { return nil }
        // ECHILD: somebody ignores SIGCHLD in this process, the status is lost. It is dead all the same.
        guard reaped == pid else { return (0, ResourceUsage()) }
        return (status, ResourceUsage(usage))
    }

    /// Never reaches another process, even when this one was reaped and its pid given to another.
    ///
    /// - Returns: false if it is dead and reaped.
    @discardableResult
    func send(signal: Int32) -> Bool { granite_pidfd_send_signal(pidfd.number, signal) == 0 }

    /// Kills a child that cannot be watched and reaps it.
    func abandon() {
        send(signal: SIGKILL)
        Self.waitForEnd(of: pid)
    }

    private static func waitForEnd(of pid: pid_t) {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    }

    private static func environment(adding additions: [(name: String, value: String)]) -> [[CChar]] {
        var result: [[CChar]] = []
        var entry = granite_environment()
        while let text = entry.pointee {
            let bytes = Array(UnsafeBufferPointer(start: text, count: strlen(text) + 1))
            if !additions.contains(where: { bytes.starts(with: "\($0.name)=".utf8.map { CChar(bitPattern: $0) }) }) {
                result.append(bytes)
            }
            entry += 1
        }
        return result + additions.map { Array("\($0.name)=\($0.value)".utf8CString) }
    }
}
