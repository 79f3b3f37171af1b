// Asks debuginfod servers for debug files, by elfutils' own client library: it knows the protocol, tries several servers at once, follows
// proxies, and reports progress. It is opened at run time and only by who asks for it, so that neither the crash path nor any command
// without `--fetch` can reach a network, and Granite needs no HTTP client.

import Glibc

/// A client. Used by one thread; each question may take as long as the limits allow.
package final class DebuginfodClient {
    package enum Kind: String, Sendable, CaseIterable { case debuginfo, executable }

    /// Why there is no answer, as a sentence.
    package struct Failure: Error, CustomStringConvertible, Equatable {
        package var description: String
        /// True if every server answered that it has no such file.
        package var isAbsence = false
    }

    private typealias Begin = @convention(c) () -> OpaquePointer?
    private typealias End = @convention(c) (OpaquePointer) -> Void
    private typealias Find =
        @convention(c) (
            OpaquePointer, UnsafePointer<UInt8>, Int32, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        ) -> Int32
    private typealias Progress = @convention(c) (OpaquePointer?, Int, Int) -> Int32
    private typealias SetProgress = @convention(c) (OpaquePointer, Progress?) -> Void
    private typealias SetUserData = @convention(c) (OpaquePointer, UnsafeMutableRawPointer?) -> Void
    private typealias GetUserData = @convention(c) (OpaquePointer) -> UnsafeMutableRawPointer?

    private struct Library {
        var begin: Begin
        var end: End
        var find: [Kind: Find]
        var setProgress: SetProgress
        var setUserData: SetUserData
        var getUserData: GetUserData

        /// debuginfod.h; `debuginfod_get_user_data` is of elfutils 0.180.
        init?() {
            guard let handle = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL) else { return nil }
            func function<T>(_ name: String, _: T.Type) -> T? {
                dlsym(handle, name).map { unsafeBitCast($0, to: T.self) }
            }
            guard let begin = function("debuginfod_begin", Begin.self), let end = function("debuginfod_end", End.self),
                let debuginfo = function("debuginfod_find_debuginfo", Find.self),
                let executable = function("debuginfod_find_executable", Find.self),
                let setProgress = function("debuginfod_set_progressfn", SetProgress.self),
                let setUserData = function("debuginfod_set_user_data", SetUserData.self),
                let getUserData = function("debuginfod_get_user_data", GetUserData.self)
            else { return nil }
            self.begin = begin
            self.end = end
            find = [.debuginfo: debuginfo, .executable: executable]
            self.setProgress = setProgress
            self.setUserData = setUserData
            self.getUserData = getUserData
        }
    }

    private static let library = Library()

    /// What the library's call-back needs.
    private final class Transfer {
        var deadline: Int
        let maxBytes: Int
        let progress: (_ done: Int, _ total: Int) -> Void
        var isTooLarge = false
        var isLate = false

        init(deadline: Int, maxBytes: Int, progress: @escaping (Int, Int) -> Void) {
            self.deadline = deadline
            self.maxBytes = maxBytes
            self.progress = progress
        }
    }

    private let client: OpaquePointer
    private let transfer: Transfer
    private let cache: String
    private let maxSeconds: Int

    /// - Parameters:
    ///   - servers: URLs, in order; what `DEBUGINFOD_URLS` holds, separated by spaces. They are put into this process's environment,
    ///     where the library looks for them.
    ///   - maxBytes: larger files are not taken. maxSeconds: for one file.
    ///   - progress: told bytes done and to do; 0 to do means not known. Called often.
    package init(
        servers: String, maxBytes: Int = 2 << 30, maxSeconds: Int = 90,
        progress: @escaping (Int, Int) -> Void = { _, _ in }
    ) throws(Failure) {
        guard !servers.allSatisfy(\.isWhitespace) else {
            throw Failure(
                description:
                    "DEBUGINFOD_URLS names no server to fetch from: set it, for example to https://debuginfod.debian.net."
            )
        }
        guard let library = Self.library else {
            throw Failure(
                description: "The debuginfod client library is missing: apt-get install libdebuginfod1.")
        }
        // Its own cache would keep what fails our check, and answer "not there" for ten minutes: a folder for this client alone.
        var template = Array("/tmp/granite-debuginfod-XXXXXX".utf8CString)
        if let folder = getenv("TMPDIR").map({ String(cString: $0) }), folder.hasPrefix("/") {
            template = Array("\(folder)/granite-debuginfod-XXXXXX".utf8CString)
        }
        guard mkdtemp(&template) != nil else {
            throw Failure(description: "A temporary folder cannot be made: \(String(cString: strerror(errno))).")
        }
        cache = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        setenv("DEBUGINFOD_CACHE_PATH", cache, 1)
        setenv("DEBUGINFOD_URLS", servers, 1)
        // Of the transfer as a whole: maximal seconds, and bytes that a server may announce.
        setenv("DEBUGINFOD_MAXTIME", String(maxSeconds), 1)
        setenv("DEBUGINFOD_MAXSIZE", String(maxBytes), 1)
        // At least 100 KiB within so many seconds, or the server is given up.
        setenv("DEBUGINFOD_TIMEOUT", String(min(maxSeconds, 30)), 1)
        guard let client = library.begin() else {
            FolderListing.removeFlatTree(cache)
            throw Failure(description: "The debuginfod client library could not be started.")
        }
        self.client = client
        self.maxSeconds = maxSeconds
        transfer = Transfer(deadline: 0, maxBytes: maxBytes, progress: progress)
        library.setUserData(client, Unmanaged.passUnretained(transfer).toOpaque())
        library.setProgress(client) { client, done, total in
            guard let client, let data = DebuginfodClient.library?.getUserData(client) else { return 1 }
            let transfer = Unmanaged<Transfer>.fromOpaque(data).takeUnretainedValue()
            transfer.isTooLarge = transfer.isTooLarge || done > transfer.maxBytes || total > transfer.maxBytes
            transfer.isLate = transfer.isLate || time(nil) > transfer.deadline
            transfer.progress(done, total)
            return transfer.isTooLarge || transfer.isLate ? 1 : 0
        }
    }

    deinit {
        Self.library?.end(client)
        FolderListing.removeFlatTree(cache)
    }

    /// Fetches one file.
    /// - Returns: its path, until the client goes. Nothing was checked.
    package func fetch(_ kind: Kind, buildID: [UInt8]) throws(Failure) -> String {
        guard let find = Self.library?.find[kind], (1...64).contains(buildID.count) else {
            throw Failure(description: "\(BuildID.text(buildID)) is no build-id that can be asked for.")
        }
        transfer.deadline = time(nil) + maxSeconds
        transfer.isTooLarge = false
        transfer.isLate = false
        var path: UnsafeMutablePointer<CChar>?
        let result = find(client, buildID, Int32(buildID.count), &path)
        defer { free(path) }
        guard result >= 0, let path else {
            if transfer.isTooLarge || result == -EFBIG {
                throw Failure(description: "it is larger than \(transfer.maxBytes) bytes")
            }
            if transfer.isLate || result == -ETIME { throw Failure(description: "it took longer than \(maxSeconds) s") }
            if result == -ENOENT { throw Failure(description: "no server has it", isAbsence: true) }
            throw Failure(description: String(cString: strerror(-result)))
        }
        close(result)
        return String(cString: path)
    }
}

extension FolderListing {
    /// Removes a folder with files and one level of folders: what the library's cache is.
    fileprivate static func removeFlatTree(_ path: String) {
        for name in names(path) {
            let entry = path + "/" + name
            guard unlink(entry) != 0 else { continue }
            for file in names(entry) { unlink(entry + "/" + file) }
            rmdir(entry)
        }
        rmdir(path)
    }
}
