// Defines how a process of Granite's begins, whatever its parent did with signals: posix_spawn(3) hands masks and ignored signals down.

package import Glibc

package enum SpawnAttributes {
    /// Calls `body` with attributes for posix_spawn(3): every signal at its default, none blocked.
    ///
    /// - Parameter flags: of <spawn.h>, beside those for that.
    package static func withDefaultSignals<Result, Failure: Error>(
        flags: Int32 = 0, _ body: (UnsafePointer<posix_spawnattr_t>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        sigdelset(&signals, SIGKILL)
        sigdelset(&signals, SIGSTOP)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | flags))
        return try body(&attributes)
    }
}
