// Defines the mark of an index that is being made. Debug information that ends the process that reads it (by its memory, or by an error in
// libdw) leaves the mark, and the next collector does not die of it, too.

import Glibc

/// The file `<build-id>.v<version>.tried` in the index folder, there while an index is made.
struct SymbolIndexAttempt {
    static let suffix = ".tried"
    /// An older mark says little: the process may have been stopped in the middle for any reason.
    private static let maxAgeSeconds = 86400

    private let file: String

    /// - Parameter path: of the index, without a suffix.
    /// - Returns: nil if someone is at it or did not survive it, or if the mark cannot be set: then the index cannot be stored either.
    init?(path: String) {
        file = "\(path).v\(SymbolIndex.version)\(Self.suffix)"
        if Self.isOld(file) { unlink(file) }
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        close(descriptor)
    }

    /// Made or not, the process is still there.
    func end() { unlink(file) }

    /// False if there is no such file.
    static func isOld(_ file: String) -> Bool {
        var status = stat()
        guard lstat(file, &status) == 0 else { return false }
        let (age, overflow) = time(nil).subtractingReportingOverflow(status.st_mtim.tv_sec)
        return overflow || age > maxAgeSeconds || age < 0
    }
}
