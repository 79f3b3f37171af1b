// Starts the guardian's process: out of reach of the terminal, with nothing of run's but two sockets.

import CLinux
import Glibc
package import GraniteLinux

package enum GuardianProcess {
    /// Where the guardian finds its sockets.
    package static let listenerDescriptor: Int32 = 3
    package static let runDescriptor: Int32 = 4

    /// Starts `executable` with `arguments` (without its name). Call before the program is started.
    ///
    /// - Returns: 0, or an errno value.
    package static func start(
        executable: String, arguments: [String], environment: ProgramEnvironment, listener: Descriptor,
        run: Descriptor
    ) -> Int32 {
        // Above every target, or one dup2 could overwrite the source of the next.
        let sources = [listener, run].map { Descriptor(fcntl($0.number, F_DUPFD_CLOEXEC, runDescriptor + 1)) }
        guard sources.allSatisfy({ $0.number >= 0 }) else { return errno }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // A pipe that it held open would seem not to end.
        for number in STDIN_FILENO...STDERR_FILENO {
            posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
        }
        for (source, target) in zip(sources, [listenerDescriptor, runDescriptor]) {
            posix_spawn_file_actions_adddup2(&actions, source.number, target)
        }
        granite_spawn_close_from(&actions, runDescriptor + 1)

        var pid = pid_t()
        return withExtendedLifetime(sources) {
            withCStrings(["granite-crash"] + arguments) { arguments in
                environment.withPointers { environment in
                    SpawnAttributes.withDefaultSignals(flags: newSession) {
                        posix_spawn(&pid, executable, &actions, $0, arguments, environment)
                    }
                }
            }
        }
    }

    /// POSIX_SPAWN_SETSID of <spawn.h>, which shows it to GNU sources only: a Ctrl-C does not reach the guardian.
    private static let newSession: Int32 = 0x80
}
