// Where reports are kept, which directories are refused, and what the operator is told.

import Foundation
import GraniteReport
import TestSupport
import Testing

@testable import GraniteStore

struct CrashDirectoryTests {
    @Test(
        arguments: [
            ("/given", ["GRANITE_CRASH_DIR": "/env"], 1000, "/given"), (nil, ["GRANITE_CRASH_DIR": "/env"], 0, "/env"),
            (nil, ["XDG_STATE_HOME": "/xdg", "HOME": "/home/ann"], 1000, "/xdg/granite/crashes"),
            (
                nil, ["XDG_STATE_HOME": "relative", "HOME": "/home/ann", "GRANITE_CRASH_DIR": ""], 1000,
                "/home/ann/.local/state/granite/crashes"
            ),
            (nil, ["XDG_STATE_HOME": "/xdg", "HOME": "/root"], 0, "/var/lib/granite/crashes"),
            ("/given///", [:], 0, "/given"), ("/", [:], 0, "/"),
        ] as [(String?, [String: String], UInt32, String)])
    func isChosenInOrder(option: String?, environment: [String: String], user: UInt32, path: String) throws {
        #expect(try CrashDirectory.chosen(option: option, environment: environment, userID: user).path == path)
    }

    @Test func nothingToChooseFromIsAnError() throws {
        let error = try #require(throws: StoreError.self) {
            try CrashDirectory.chosen(option: nil, environment: [:], userID: 1000)
        }
        #expect(error.code == .noDirectory)
    }

    @Test func aLinkIsRefusedWithOrWithoutASlash() throws {
        let folder = try TemporaryDirectory()
        let link = folder.file("link").path
        symlink("/tmp", link)
        for path in [link, link + "/"] {
            let error = try #require(throws: StoreError.self) { try store(path).checkWritable() }
            #expect(error.code == .unsafeDirectory)
            #expect(
                error.description
                    == "The crash directory \(link) is a symbolic link, which somebody could turn elsewhere: give the directory "
                    + "that it points to as --crash-dir.")
        }
    }

    @Test func aDirectoryThatAllMayWriteIsRefused() throws {
        let folder = try TemporaryDirectory()
        chmod(folder.url.path, 0o1777)
        let error = try #require(throws: StoreError.self) {
            try store(folder.url.path).save(ReportStoreTests.report(1))
        }
        #expect(error.code == .unsafeDirectory)
        #expect(
            error.description
                == "Everybody may write to the crash directory \(folder.url.path): run `chmod 700 \(folder.url.path)`, or keep "
                + "reports elsewhere with --crash-dir.")
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a directory away"))
    func somebodyElsesDirectoryIsRefusedForWritingButRootMayRead() throws {
        let folder = try TemporaryDirectory()
        let store = store(folder.url.path)
        try store.save(ReportStoreTests.report(1))
        chown(folder.url.path, 65534, 65534)
        let error = try #require(throws: StoreError.self) { try store.checkWritable() }
        #expect(error.code == .unsafeDirectory)
        #expect(error.description.contains("belongs to user 65534, not to user 0: run `chown 0 "))
        #expect(try store.list().count == 1)
    }

    @Test func aFileInsteadOfADirectoryIsNamed() throws {
        let folder = try TemporaryDirectory()
        let file = try folder.write("x", to: "file").path
        let error = try #require(throws: StoreError.self) { try store(file).checkWritable() }
        #expect(error.description == "\(file) is not a directory: correct --crash-dir.")
        let below = try #require(throws: StoreError.self) { try store(file + "/crashes").checkWritable() }
        #expect(below.errno == ENOTDIR)
        #expect(
            below.description
                == "Cannot make the crash directory \(file)/crashes: a part of the path is not a directory. Correct --crash-dir."
        )
    }

    @Test func aWritableDirectoryIsMadeAndLeftEmpty() throws {
        let folder = try TemporaryDirectory()
        try store(folder.file("a/b").path).checkWritable()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("a/b").path) == [])
    }

    @Test func aFullDiskIsNamedAndLeavesNothingHalf() throws {
        try SmallFileSystem.with { folder in
            let store = store(folder + "/crashes")
            try store.checkWritable()
            var large = ReportStoreTests.report(1)
            large.logTail = [String(repeating: "x", count: 1 << 20)]
            let error = try #require(throws: StoreError.self) { try store.save(large) }
            #expect(error.errno == ENOSPC)
            #expect(
                error.description
                    == "Cannot store report \(large.id) in \(folder)/crashes: the disk is full. Free some space, or keep reports "
                    + "elsewhere with --crash-dir.")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/crashes") == [])
            try store.save(ReportStoreTests.report(2))
            #expect(try store.list().count == 1)
        }
    }

    @Test func aReadOnlyFileSystemIsNamed() throws {
        try SmallFileSystem.with { folder in
            let store = store(folder + "/crashes")
            try store.save(ReportStoreTests.report(1))
            try #require(mount("tmpfs", folder, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
            let error = try #require(throws: StoreError.self) { try store.checkWritable() }
            #expect(error.errno == EROFS)
            #expect(
                error.description.hasSuffix(": the file system is read-only. Keep reports elsewhere with --crash-dir."))
            #expect(try store.list().count == 1)
        }
    }

    @Test func everyRefusalOfTheSystemSaysWhatToDo() {
        #expect(
            StoreError.system(EACCES, "open the crash directory", "/x").description.contains(
                "permission is denied to user"))
        #expect(StoreError.system(ENAMETOOLONG, "open the crash directory", "/x").description.contains("too long"))
        #expect(StoreError.system(ENOLINK, "open", "/x").description == "Cannot open /x: Link has been severed.")
    }

    private func store(_ path: String) -> ReportStore { ReportStore(directory: CrashDirectory(path: path)) }
}

/// A file system of 128 KiB, for as long as the body runs. Where mounting is not allowed the test says so and ends.
enum SmallFileSystem {
    static func with(_ body: (String) throws -> Void) throws {
        let folder = try TemporaryDirectory()
        guard mount("tmpfs", folder.url.path, "tmpfs", 0, "size=128k,mode=700") == 0 else {
            withKnownIssue("mounting a small file system is not allowed here (errno \(errno))") {
                Issue.record("not tested")
            }
            return
        }
        defer { umount2(folder.url.path, Int32(MNT_DETACH)) }
        try body(folder.url.path)
    }
}
