// Defines the store: reports by id, newest first, one file each, in a directory that nobody else may touch.
// The files are the truth; there is no index that could disagree with them.

import Glibc
package import GraniteReport

/// Stored reports. A value without state: several processes may read and write one directory at the same time.
package struct ReportStore: Sendable {
    package let directory: CrashDirectory
    package let retention: Retention

    package init(directory: CrashDirectory, retention: Retention = Retention()) {
        self.directory = directory
        self.retention = retention
    }

    /// Path of a report's file, whether or not it exists.
    package func path(of id: String) -> String { directory.path + "/" + id + ReportFile.suffix }

    /// Makes the directory if it is missing, and proves that a report could be written there. For a server's start.
    package func checkWritable() throws(StoreError) {
        try directory.open(for: .writing) { descriptor throws(StoreError) in
            let name = ".check.\(getpid())" + ReportFile.temporarySuffix
            unlinkat(descriptor, name, 0)
            let file = openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw StoreError.system(errno, "write to the crash directory", directory.path) }
            // A full disk still makes files, but no longer fills them.
            let failure = write(file, name, name.utf8.count) < 0 ? errno : 0
            close(file)
            unlinkat(descriptor, name, 0)
            guard failure == 0 else { throw StoreError.system(failure, "write to the crash directory", directory.path) }
        }
    }

    /// Stores a report, 0600, in place of an older one with its id, then removes what the retention does not keep.
    /// - Returns: the file's path.
    @discardableResult
    package func save(_ report: CrashReport) throws(StoreError) -> String {
        guard ULID.isValid(report.id) else {
            throw StoreError(.badReference, "A report cannot be stored as \"\(report.id)\": that is no id.")
        }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let nowNanoseconds = UInt64(max(0, now.tv_sec)) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
        // The worker's clock, or its hand, may be wrong: a crash in the future would stay the newest for ever.
        let nanoseconds = min(report.time.flatMap(Timestamp.nanoseconds) ?? nowNanoseconds, nowNanoseconds)
        try directory.open(for: .writing) { descriptor throws(StoreError) in
            try ReportFile.write(
                report.encoded(), id: report.id, nanoseconds: nanoseconds, in: descriptor, directory.path)
            prune(descriptor)
        }
        return path(of: report.id)
    }

    /// The newest `limit` reports, newest first. A damaged file is an element like the others. No directory is no reports.
    package func list(limit: Int = .max) throws(StoreError) -> [ReportListing] {
        try reading { descriptor throws(StoreError) in
            try files(descriptor).prefix(max(0, limit)).map { file in
                var listing = ReportListing(
                    id: file.id, path: path(of: file.id), bytes: file.bytes, report: CrashReport(id: file.id))
                do throws(StoreError) {
                    let bytes = try ReportFile.read(id: file.id, in: descriptor, directory.path)
                    if let head = ReportHead.report(in: bytes) {
                        listing.report = head
                        listing.report.id = file.id
                    } else {
                        listing.damage = "the file is cut off or no JSON"
                    }
                } catch {
                    listing.damage = error.description
                }
                return listing
            }
        } ?? []
    }

    /// One report: `last`, an id, or the beginning of one.
    /// - Throws: `badReference`, `notFound`, `ambiguous` with the candidates named, `damaged`, `system`.
    package func load(_ reference: String) throws(StoreError) -> StoredReport {
        let wanted = reference.uppercased()
        guard wanted == "LAST" || ULID.isPrefix(wanted) else {
            throw StoreError(
                .badReference,
                "\"\(TerminalText.neutralised(reference))\" is no report: give an id, its first digits, or \"last\".")
        }
        let stored = try reading { descriptor throws(StoreError) in
            let files = try files(descriptor)
            let matches = wanted == "LAST" ? Array(files.prefix(1)) : files.filter { $0.id.hasPrefix(wanted) }
            guard let match = matches.first else { throw notFound(reference, among: files.count) }
            guard matches.count == 1 else {
                let names = matches.prefix(6).map(\.id).joined(separator: "\n  ")
                throw StoreError(
                    .ambiguous,
                    "\(matches.count) reports begin with \(wanted):\n  \(names)\(matches.count > 6 ? "\n  …" : "")")
            }
            let bytes = try ReportFile.read(id: match.id, in: descriptor, directory.path)
            guard var report = try? CrashReport.decode(bytes) else {
                throw StoreError(.damaged, "\(path(of: match.id)) is damaged: the file is cut off or no JSON.")
            }
            report.id = match.id
            return StoredReport(path: path(of: match.id), bytes: bytes, report: report)
        }
        guard let stored else { throw notFound(reference, among: 0) }
        return stored
    }

    /// How often the bug with this fingerprint is among the stored reports, and as which of them the report `id` came.
    package func occurrences(of hash: String, id: String? = nil) throws(StoreError) -> Occurrences {
        try reading { descriptor throws(StoreError) in
            var same: [File] = []
            for file in try files(descriptor) {
                // A report has megabytes of threads; one without a fingerprint at its beginning is read whole.
                for limit in [ReportHead.fingerprintBytes, ReportFile.maxBytes] {
                    let bytes = try? ReportFile.read(id: file.id, in: descriptor, directory.path, limit: limit)
                    let found = bytes.flatMap { ReportHead.fingerprint(in: $0) }
                    if found == hash { same.append(file) }
                    if found != nil || file.bytes <= limit { break }
                }
            }
            return Occurrences(
                count: same.count,
                ordinal: id.flatMap { id in same.firstIndex { $0.id == id } }.map { same.count - $0 },
                firstTime: same.last.map { Timestamp.rfc3339(nanoseconds: $0.nanoseconds) })
        } ?? Occurrences(count: 0, ordinal: nil, firstTime: nil)
    }

    private func notFound(_ reference: String, among count: Int) -> StoreError {
        if count == 0 { return StoreError(.notFound, "There are no crash reports in \(directory.path).") }
        return StoreError(
            .notFound,
            "No report in \(directory.path) begins with \(reference.uppercased()); `granite-crash list` shows them.")
    }

    /// nil if the directory does not exist: nothing crashed yet.
    private func reading<Result>(_ body: (Int32) throws(StoreError) -> Result) throws(StoreError) -> Result? {
        do throws(StoreError) {
            return try directory.open(for: .reading, body)
        } catch  where error.code == .system && error.errno == ENOENT {
            return nil
        }
    }

    private struct File {
        var id: String
        var bytes: Int
        /// Time of the crash.
        var nanoseconds: UInt64
    }

    /// All report files, newest first.
    private func files(_ descriptor: Int32) throws(StoreError) -> [File] {
        names(descriptor).compactMap { name in
            guard let id = ReportFile.id(ofName: name), let status = status(name, descriptor) else { return nil }
            let seconds = UInt64(max(0, status.st_mtim.tv_sec))
            return File(
                id: id, bytes: Int(status.st_size),
                nanoseconds: seconds &* 1_000_000_000 &+ UInt64(status.st_mtim.tv_nsec))
        }.sorted { ($0.nanoseconds, $0.id) > ($1.nanoseconds, $1.id) }
    }

    /// Whether it is of a hang or a dump. One that does not say so at its beginning is not.
    private func isRoutine(_ file: File, _ descriptor: Int32) -> Bool {
        let head = try? ReportFile.read(
            id: file.id, in: descriptor, directory.path, limit: ReportHead.fingerprintBytes)
        return head.flatMap { ReportHead.kind(in: $0) }.map { $0 == .hang || $0 == .dump } ?? false
    }

    private func names(_ descriptor: Int32) -> [String] {
        // fdopendir(3) takes the descriptor over, and copies share a position: open the directory anew.
        let own = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard own >= 0, let stream = fdopendir(own) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            // SAFETY: d_name is NUL-terminated within its 256 bytes (readdir(3)), and the entry lives until the next call.
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
                })
        }
        return names
    }

    private func status(_ name: String, _ descriptor: Int32) -> stat? {
        var status = stat()
        return fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status : nil
    }

    /// Removes what the retention does not keep, and what processes that died while writing left an hour ago. What cannot be removed
    /// stays: the report that was just stored matters more.
    private func prune(_ descriptor: Int32) {
        guard let files = try? files(descriptor) else { return }
        if retention.mayRemove(files.map(\.bytes)) {
            let candidates = files.map { Retention.Candidate(bytes: $0.bytes, isRoutine: isRoutine($0, descriptor)) }
            for index in retention.removed(candidates) {
                unlinkat(descriptor, files[index].id + ReportFile.suffix, 0)
            }
        }
        for name in names(descriptor) where name.hasPrefix(".") && name.hasSuffix(ReportFile.temporarySuffix) {
            if let status = status(name, descriptor), time(nil) - status.st_ctim.tv_sec > 3600 {
                unlinkat(descriptor, name, 0)
            }
        }
    }
}
