// Defines where reports are kept, and which directories are refused. Reports hold memory and requests of the application: whoever may
// write there could plant a link, whoever may read there sees secrets.

import Glibc

/// The directory of reports.
package struct CrashDirectory: Sendable, Equatable {
    /// Without a slash at its end.
    package let path: String

    package init(path: String) {
        var path = path[...]
        // open(2) follows a link that is written with a slash behind it, O_NOFOLLOW or not.
        while path.utf8.count > 1, path.hasSuffix("/") { path = path.dropLast() }
        self.path = String(path)
    }

    /// What `--crash-dir` says, else `GRANITE_CRASH_DIR`, else /var/lib/granite/crashes for root, else granite/crashes below
    /// `XDG_STATE_HOME` or ~/.local/state (XDG Base Directory Specification: a relative path there is ignored).
    package static func chosen(
        option: String?, environment: [String: String], userID: UInt32? = nil
    ) throws(StoreError) -> CrashDirectory {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let path = option ?? variable("GRANITE_CRASH_DIR"), !path.isEmpty { return CrashDirectory(path: path) }
        if userID ?? geteuid() == 0 { return CrashDirectory(path: "/var/lib/granite/crashes") }
        if let state = variable("XDG_STATE_HOME"), state.hasPrefix("/") {
            return CrashDirectory(path: state + "/granite/crashes")
        }
        if let home = variable("HOME"), home.hasPrefix("/") {
            return CrashDirectory(path: home + "/.local/state/granite/crashes")
        }
        throw StoreError(
            .noDirectory,
            "Nothing says where crash reports are kept: give --crash-dir, or set GRANITE_CRASH_DIR, XDG_STATE_HOME or HOME."
        )
    }

    enum Purpose { case reading, writing }

    /// Runs `body` with a descriptor of the directory; everything below it is then reached through the descriptor, so that nobody can
    /// put another directory in its place. For writing the directory is made, mode 0700, where it is missing.
    func open<Result>(for purpose: Purpose, _ body: (Int32) throws(StoreError) -> Result) throws(StoreError) -> Result {
        if purpose == .writing { try make(path) }
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        let failure = errno
        guard descriptor >= 0 else { throw refusal(failure) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StoreError.system(errno, "examine", path) }
        let mine = status.st_uid == geteuid() || (purpose == .reading && geteuid() == 0)
        guard mine else {
            throw StoreError(
                .unsafeDirectory,
                "The crash directory \(path) belongs to user \(status.st_uid), not to user \(geteuid()): run "
                    + "`chown \(geteuid()) \(path)`, or keep reports elsewhere with --crash-dir.")
        }
        guard status.st_mode & S_IWOTH == 0 else {
            throw StoreError(
                .unsafeDirectory,
                "Everybody may write to the crash directory \(path): run `chmod 700 \(path)`, or keep reports elsewhere "
                    + "with --crash-dir.")
        }
        return try body(descriptor)
    }

    private func make(_ path: String) throws(StoreError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw StoreError.system(errno, "make the crash directory", self.path)
        }
        try make(String(path[..<slash]))
        if mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw StoreError.system(errno, "make the crash directory", self.path)
        }
    }

    /// Why open(2) failed; of a link it says only ENOTDIR.
    private func refusal(_ failure: Int32) -> StoreError {
        var status = stat()
        guard failure == ENOTDIR || failure == ELOOP, lstat(path, &status) == 0 else {
            return StoreError.system(failure, "open the crash directory", path)
        }
        if status.st_mode & S_IFMT == S_IFLNK {
            return StoreError(
                .unsafeDirectory,
                "The crash directory \(path) is a symbolic link, which somebody could turn elsewhere: give the directory "
                    + "that it points to as --crash-dir.")
        }
        return StoreError(.unsafeDirectory, errno: ENOTDIR, "\(path) is not a directory: correct --crash-dir.")
    }
}
