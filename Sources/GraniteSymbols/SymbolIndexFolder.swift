// Defines the folder of indexes: one file a build, named by its build-id, made once and mapped by every later process. Its size is
// bounded; what was not used for longest goes first.

import Glibc

/// The folder, which need not exist. A value without state. Reading: anyone who trusts the folder; writing: the collector.
package struct SymbolIndexFolder: Sendable {
    package let path: String
    /// Of all indexes together.
    package let maxBytes: Int64

    private static let suffix = ".index"
    /// Of larger files no index is made.
    private static let maxObjectBytes: Int64 = 512 << 20

    package init(path: String, maxBytes: Int64 = 1 << 30) {
        self.path = path
        self.maxBytes = maxBytes
    }

    /// The index of a build, mapped; nil if there is none that can be believed: it, or the folder, is another user's, or is damaged, or
    /// of another version.
    func index(of buildID: [UInt8]) -> SymbolIndex? {
        guard isOwn, let file = try? RegularFile(path: file(of: buildID)), file.isOwn,
            file.size >= Int64(SymbolIndex.headerBytes), file.size <= Int64(SymbolIndex.maxBytes)
        else { return nil }
        let count = Int(file.size)
        guard let memory = mmap(nil, count, PROT_READ, MAP_PRIVATE, file.descriptor, 0), memory != MAP_FAILED else {
            return nil
        }
        let bytes = UnsafeRawBufferPointer(start: memory, count: count)
        let index = SymbolIndex(bytes: bytes, buildID: buildID) { munmap(memory, count) }
        // Its time of use, by which the oldest are found. A reader without the right to set it reads all the same.
        if index != nil { futimens(file.descriptor, nil) }
        return index
    }

    /// True if there is one that would be believed.
    package func hasIndex(of buildID: [UInt8]) -> Bool { index(of: buildID) != nil }

    /// Makes and stores the index of one object: 0.1 to 1 s for one with debug information of 10 MB, by its own reading, so that it may
    /// run beside a ``Symbolizer`` with the same options. False if none can be made, or stored, or if this process or another one is at it,
    /// or died of it within a day.
    package func makeIndex(of module: ModuleImage, options: Symbolizer.Options) -> Bool {
        guard let buildID = module.buildID else { return false }
        mkdir(path, 0o700)
        guard isOwn, let attempt = SymbolIndexAttempt(path: "\(path)/\(BuildID.text(buildID))") else { return false }
        defer { attempt.end() }
        var options = options
        options.indexFolder = nil
        // The collector's address space is limited, and what its Symbolizer has open takes a part of it.
        options.maxFileBytes = min(options.maxFileBytes, Self.maxObjectBytes)
        let symbols = Symbolizer(options: options).symbols(of: module)
        guard let bytes = symbols.makeIndex() else { return false }
        return store(bytes, buildID)
    }

    func store(_ bytes: [UInt8], _ buildID: [UInt8]) -> Bool {
        mkdir(path, 0o700)
        guard isOwn, bytes.count <= SymbolIndex.maxBytes, Int64(bytes.count) <= maxBytes else { return false }
        let stored = AtomicFile.write(to: file(of: buildID), mode: 0o600) { descriptor in
            bytes.withUnsafeBytes { AtomicFile.writeAll($0, to: descriptor) }
        }
        if stored == 0 { prune(keeping: file(of: buildID)) }
        return stored == 0
    }

    private func file(of buildID: [UInt8]) -> String { "\(path)/\(BuildID.text(buildID))\(Self.suffix)" }

    /// What others may write into would put their words into reports.
    private var isOwn: Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
            && status.st_mode & 0o022 == 0
    }

    private func prune(keeping kept: String) {
        var files: [(path: String, size: Int64, seconds: Int)] = []
        for name in FolderListing.names(path) {
            let file = path + "/" + name
            if name.hasSuffix(SymbolIndexAttempt.suffix) {
                if SymbolIndexAttempt.isOld(file) { unlink(file) }
                continue
            }
            guard name.hasSuffix(Self.suffix) || name.hasSuffix(AtomicFile.suffix) else { continue }
            var status = stat()
            guard lstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            if name.hasSuffix(AtomicFile.suffix) {
                // Of a process that died while writing.
                if time(nil) - status.st_mtim.tv_sec > 3600 { unlink(file) }
            } else if file != kept {
                files.append((file, Int64(status.st_size), status.st_mtim.tv_sec))
            }
        }
        var status = stat()
        var total = stat(kept, &status) == 0 ? Int64(status.st_size) : 0
        for file in files.sorted(by: { ($0.seconds, $0.path) > ($1.seconds, $1.path) }) {
            total = total.addingReportingOverflow(file.size).partialValue
            if total > maxBytes || total < 0 {
                unlink(file.path)
                total -= file.size
            }
        }
    }
}

extension RegularFile {
    /// Written by this user, or by root.
    fileprivate var isOwn: Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && (status.st_uid == geteuid() || status.st_uid == 0)
    }
}
