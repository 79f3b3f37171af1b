// Reports on a real disk: what is stored comes back, the newest first, and what is damaged never hides the rest.

import Foundation
import GraniteReport
import TestSupport
import Testing

@testable import GraniteStore

struct ReportStoreTests {
    let folder: TemporaryDirectory
    let store: ReportStore

    init() throws {
        folder = try TemporaryDirectory()
        store = ReportStore(directory: CrashDirectory(path: folder.file("state/crashes").path))
    }

    static func report(_ number: UInt64, minute: Int = 0, fingerprint: String? = nil) -> CrashReport {
        var report = CrashReport(id: ULID.make(milliseconds: 1_700_000_000_000, randomHigh: 0, randomLow: number))
        report.time = "2024-01-01T09:\(minute < 10 ? "0" : "")\(minute).00.000Z".replacingOccurrences(
            of: ".00.", with: ":00.")
        report.kind = .signal
        report.reason = "number \(number)"
        report.worker = WorkerInfo()
        report.worker?.slot = 2
        report.threads = [ThreadReport(tid: 1)]
        report.fingerprint = fingerprint.map { Fingerprint(version: 1, hash: $0, inputs: []) }
        return report
    }

    @Test func aStoredReportComesBackByteForByteWithPrivateModes() throws {
        let report = Self.report(1)
        let path = try store.save(report)
        #expect(path == folder.file("state/crashes/\(report.id).json").path)
        let stored = try store.load(report.id)
        #expect(stored.report == report)
        #expect(stored.bytes == report.encoded())
        #expect(stored.path == path)
        let modes = try [path, folder.file("state/crashes").path, folder.file("state").path].map {
            try FileManager.default.attributesOfItem(atPath: $0)[.posixPermissions] as? Int
        }
        #expect(modes == [0o600, 0o700, 0o700])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.file("state/crashes").path) == [
                "\(report.id).json"
            ])
    }

    @Test func savingAgainReplaces() throws {
        try store.save(Self.report(1))
        var again = Self.report(1)
        again.worker?.respawnedAs = 4790
        try store.save(again)
        #expect(try store.list().count == 1)
        #expect(try store.load("last").report.worker?.respawnedAs == 4790)
    }

    @Test func theListIsByTimeOfCrashNewestFirst() throws {
        for (number, minute) in [(1, 30), (2, 50), (3, 10)] {
            try store.save(Self.report(UInt64(number), minute: minute))
        }
        let list = try store.list()
        #expect(list.map(\.report.reason) == ["number 2", "number 1", "number 3"])
        #expect(list.first?.report.worker?.slot == 2)
        #expect(list.first?.report.threads == nil)
        #expect(try store.list(limit: 1).map(\.report.reason) == ["number 2"])
        #expect(try store.load("last").report.reason == "number 2")
        #expect(try store.load("LAST").report.reason == "number 2")
    }

    @Test func aCrashInTheFutureIsNotTheNewestForEver() throws {
        var future = Self.report(1)
        future.time = "2500-01-01T00:00:00.000Z"
        try store.save(future)
        var now = Self.report(2)
        now.time = nil
        try store.save(now)
        #expect(try store.load("last").report.reason == "number 2")
    }

    @Test func aDamagedFileIsListedAsDamaged() throws {
        try store.save(Self.report(1))
        let bytes = Self.report(2).encoded()
        let ids = (2...6).map { Self.report($0).id }
        try folder.write(
            String(decoding: bytes.prefix(bytes.count / 2), as: UTF8.self), to: "state/crashes/\(ids[0]).json")
        try folder.write("", to: "state/crashes/\(ids[1]).json")
        symlink("/etc/passwd", folder.file("state/crashes/\(ids[2]).json").path)
        mkfifo(folder.file("state/crashes/\(ids[3]).json").path, 0o600)
        let huge = open(folder.file("state/crashes/\(ids[4]).json").path, O_CREAT | O_WRONLY, 0o600)
        ftruncate(huge, 1 << 40)
        close(huge)
        try folder.write("not a report", to: "state/crashes/notes.txt")
        let list = try store.list()
        #expect(Set(list.filter { $0.damage != nil }.map(\.id)) == Set(ids))
        #expect(list.filter { $0.damage == nil }.map(\.report.reason) == ["number 1"])
        for id in ids {
            let error = try #require(throws: StoreError.self) { try store.load(id) }
            #expect(error.code == .damaged)
        }
    }

    @Test func aPrefixFindsOneReportAndNamesTheCandidatesOfSeveral() throws {
        for number in [0x1000, 0x1001] as [UInt64] { try store.save(Self.report(number)) }
        let (one, other) = (Self.report(0x1000).id, Self.report(0x1001).id)
        #expect(try store.load(one.lowercased()).report.id == one)
        let error = try #require(throws: StoreError.self) { try store.load(String(one.dropLast())) }
        #expect(error.code == .ambiguous)
        #expect(error.description == "2 reports begin with \(one.dropLast()):\n  \(other)\n  \(one)")
        let none = try #require(throws: StoreError.self) { try store.load("7") }
        #expect(none.code == .notFound)
        #expect(
            none.description == "No report in \(store.directory.path) begins with 7; `granite-crash list` shows them.")
    }

    @Test(arguments: ["../../etc/passwd", "", "/", "01\u{1B}[2J", "latest", String(repeating: "0", count: 27)])
    func whatIsNoIdIsRefusedBeforeTheDiskIsTouched(reference: String) throws {
        let error = try #require(throws: StoreError.self) { try store.load(reference) }
        #expect(error.code == .badReference)
        #expect(!error.description.unicodeScalars.contains("\u{1B}"))
    }

    @Test func aReportWithAForeignIdIsNotStored() throws {
        let error = try #require(throws: StoreError.self) { try store.save(CrashReport(id: "../x")) }
        #expect(error.code == .badReference)
    }

    @Test func noDirectoryIsNoReports() throws {
        #expect(try store.list() == [])
        #expect(try store.occurrences(of: "00") == Occurrences(count: 0, ordinal: nil, firstTime: nil))
        let error = try #require(throws: StoreError.self) { try store.load("last") }
        #expect(error.code == .notFound)
        #expect(error.description == "There are no crash reports in \(store.directory.path).")
        #expect(!FileManager.default.fileExists(atPath: store.directory.path))
    }

    @Test func occurrencesCountTheSameBug() throws {
        let hashes = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa"]
        for (number, hash) in hashes.enumerated() {
            var report = Self.report(UInt64(number), minute: 10 + number, fingerprint: hash)
            report.reason = #"a text with "hash":"bbbbbbbbbbbbbbbb" in it"#
            try store.save(report)
        }
        let third = try store.occurrences(of: "aaaaaaaaaaaaaaaa", id: Self.report(2).id)
        #expect(third == Occurrences(count: 3, ordinal: 2, firstTime: "2024-01-01T09:10:00.000Z"))
        #expect(try store.occurrences(of: "bbbbbbbbbbbbbbbb").count == 1)
        #expect(try store.occurrences(of: "cccccccccccccccc", id: Self.report(2).id).ordinal == nil)
    }

    @Test func aFingerprintFarFromTheBeginningIsFoundToo() throws {
        for number in UInt64(1)...2 {
            var report = Self.report(number, fingerprint: "aaaaaaaaaaaaaaaa")
            report.breadcrumbs = [Breadcrumb()]
            report.breadcrumbs?[0].message = String(
                repeating: "x", count: number == 1 ? 0 : 2 * ReportHead.fingerprintBytes)
            try store.save(report)
        }
        #expect(try store.occurrences(of: "aaaaaaaaaaaaaaaa").count == 2)
    }

    @Test func theOldestGoWhenThereAreTooMany() throws {
        let small = ReportStore(directory: store.directory, retention: Retention(maxCount: 2))
        try folder.write("left by a dead process", to: "state/crashes/.x.1.tmp")
        chmod(folder.file("state/crashes").path, 0o700)
        for minute in [30, 50, 10, 40] { try small.save(Self.report(UInt64(minute), minute: minute)) }
        #expect(try small.list().map(\.report.reason) == ["number 50", "number 40"])
        // Younger than an hour: its writer may be alive.
        #expect(FileManager.default.fileExists(atPath: folder.file("state/crashes/.x.1.tmp").path))
    }

    @Test func theReportOfAHangGoesFirst() throws {
        let small = ReportStore(directory: store.directory, retention: Retention(maxCount: 2))
        for minute in [10, 20, 30] {
            var report = Self.report(UInt64(minute), minute: minute)
            if minute == 20 { report.kind = .hang }
            try small.save(report)
        }
        #expect(try small.list().map(\.report.reason) == ["number 30", "number 10"])
    }

    @Test func manyWritersAtOnceLoseNothing() async throws {
        let store = store
        await withTaskGroup(of: Void.self) { group in
            for number in UInt64(0)..<40 {
                group.addTask { _ = try? store.save(Self.report(number, minute: Int(number))) }
            }
        }
        #expect(try store.list().map(\.report.reason) == (0..<40).reversed().map { "number \($0)" })
    }
}

struct RetentionTests {
    @Test(
        arguments: [
            ([], 0), ([1, 1], 2), ([1, 1, 1, 1], 3), ([60, 30, 30], 2), ([500, 1], 1), ([.max, .max], 1), ([-5, 1], 2),
        ] as [([Int], Int)])
    func keepsTheNewestThatFit(sizes: [Int], kept: Int) throws {
        let folder = try TemporaryDirectory()
        let store = ReportStore(
            directory: CrashDirectory(path: folder.url.path), retention: Retention(maxCount: 3, maxTotalBytes: 100))
        let removed = store.retention.removed(sizes.map { Retention.Candidate(bytes: $0) })
        #expect(removed == Array(kept..<sizes.count))
    }

    /// A server with slow requests makes a report a minute: after a working day no crash was left.
    @Test func hangsGoBeforeCrashesAndHaveALimitOfTheirOwn() {
        let retention = Retention(maxCount: 4, maxRoutineCount: 2, maxTotalBytes: 100)
        func removed(_ kinds: String, bytes: Int = 1) -> [Int] {
            retention.removed(kinds.map { Retention.Candidate(bytes: bytes, isRoutine: $0 == "h") })
        }
        #expect(removed("hhhc") == [2])
        #expect(removed("chhh") == [3])
        #expect(removed("cchcc") == [2])
        #expect(removed("hhcccc") == [1, 5])
        #expect(removed("cch", bytes: 40) == [2])
        #expect(removed("hcc", bytes: 40) == [2])
    }
}
