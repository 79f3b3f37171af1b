// A report of a stripped program, completed later: it becomes what the unstripped one would have given.

import Foundation
import GraniteReport
import GraniteSymbols
import TestSupport
import Testing

@testable import GraniteCollector

@Suite(.timeLimit(.minutes(4))) struct ResymbolicationTests {
    private static let now = "2026-11-25T00:00:00.000Z"

    private static func exists(_ tool: String) -> Bool {
        FileManager.default.isExecutableFile(atPath: "/usr/bin/" + tool)
    }

    /// A crash of the probe, or of a copy of it, at a level.
    private func crash(_ name: String, program: URL? = nil, level: String = "full") async throws -> CrashReport {
        try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor(level: level)
            let worker = try supervisor.spawnWorker(
                program: program ?? BuildProducts.executable("CrashProbe"),
                [
                    name, "--level", level, "--page-fd", "10", "--memory-socket", "11", "--serve-deadline-ms", "20000",
                    "--park-deadline-ms", "20000",
                ])
            defer { supervisor.release(worker) }
            try supervisor.watch(worker)
            if name.hasPrefix("thread-bound") {
                // The worker goes on, and ends well.
                let report = try supervisor.receiveReport().report
                try supervisor.reap(worker, expected: true)
                return report
            }
            try supervisor.reap(worker)
            return try supervisor.receiveReport().report
        }
    }

    private func strippedProbe(in directory: TemporaryDirectory) async throws -> URL {
        let copy = directory.file("CrashProbe")
        let result = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/strip"),
            ["--strip-all", "-o", copy.path, BuildProducts.executable("CrashProbe").path])
        try #require(result.ending == .code(0), "\(result.errors)")
        return copy
    }

    /// What a reader sees of the frames in the probe.
    private func shown(_ report: CrashReport) -> [String] {
        (report.crashedThread?.frames ?? []).filter { $0.module?.hasSuffix("CrashProbe") == true }.map { frame in
            "\(frame.symbol ?? "?") \(frame.file ?? "?"):\(frame.line ?? 0):\(frame.column ?? 0) \(frame.inlined == true) "
                + "\(frame.inApp == true) \(frame.source?.map(\.text).joined(separator: "|") ?? "") \(frame.trust?.rawValue ?? "")"
        }
    }

    @Test(
        .enabled(if: exists("strip")),
        arguments: ["null-read", "swift-bounds", "null-call", "thread-bound-drop"])
    func aStrippedProgramsReportBecomesThatOfTheWholeOne(_ name: String) async throws {
        let directory = try TemporaryDirectory()
        let whole = try await crash(name)
        let stripped = try await crash(name, program: try await strippedProbe(in: directory))
        #expect(shown(stripped).allSatisfy { $0.contains("?:0:0") })
        #expect(shown(stripped) != shown(whole))
        let store = SymbolStore(directory: directory.file("store").path)
        _ = try store.add(BuildProducts.executable("CrashProbe").path)
        try FileManager.default.removeItem(at: directory.file("CrashProbe"))

        var resymbolicator = Resymbolicator(
            symbolizer: Symbolizer(options: .init(symbolStores: [store.directory], systemDirectories: [])))
        let (report, frames) = resymbolicator.complete(stripped, time: Self.now)
        #expect(frames > 0)
        #expect(shown(report) == shown(whole))
        #expect(report.crashedThread?.folded?.length == whole.crashedThread?.folded?.length)
        #expect(report.fingerprint?.hash == whole.fingerprint?.hash)
        #expect(report.resymbolicated?.previousFingerprint == stripped.fingerprint?.hash)
        #expect(report.resymbolicated?.time == Self.now)
        #expect(report.dropSite?.creationFrames?.map(\.symbol) == whole.dropSite?.creationFrames?.map(\.symbol))
        if name == "null-read" { #expect(report.reason == whole.reason) }
        #expect(report.modules?.first { $0.path?.hasSuffix("CrashProbe") == true }?.debug == "found")
        // Nothing else changed, and there is no more to do.
        #expect(report.id == stripped.id && report.time == stripped.time && report.signal == stripped.signal)
        #expect(report.threads?.map(\.registers) == stripped.threads?.map(\.registers))
        #expect(
            (report.crashedThread?.frames ?? []).map(\.index) == Array(0..<(report.crashedThread?.frames?.count ?? 0)))
        #expect(resymbolicator.complete(report, time: "later") == (report, 0))
        #expect(try CrashReport.decode(report.encoded()) == report)
    }

    @Test(arguments: ["null-read", "thread-bound-drop"]) func aShortReportNamesTheBuildOfEveryFrame(_ name: String)
        async throws
    {
        let report = try await crash(name, level: "short")
        let frames = (report.threads ?? []).flatMap { $0.frames ?? [] } + (report.dropSite?.creationFrames ?? [])
        let named = Set(frames.compactMap(\.module))
        #expect(named.count > 1)
        for path in named {
            let module = try #require(report.modules?.first { $0.path == path }, "\(path)")
            #expect(module.buildID != nil && module.base != nil && module.size != nil, "\(path)")
        }
        for frame in frames where frame.module != nil { #expect(frame.offset != nil) }
    }

    @Test func symbolsOfAnotherBuildAreNotBelieved() async throws {
        var report = try await crash("null-read")
        let modules = report.modules?.map { module in
            var module = module
            module.buildID = module.path?.hasSuffix("CrashProbe") == true ? "0011223344" : nil
            return module
        }
        report.modules = modules
        let threads = report.threads?.map { thread in
            var thread = thread
            thread.frames = thread.frames?.map { frame in
                var bare = Frame(kind: frame.kind)
                (bare.module, bare.offset, bare.address) = (frame.module, frame.offset, frame.address)
                return bare
            }
            return thread
        }
        report.threads = threads
        var resymbolicator = Resymbolicator(symbolizer: Symbolizer())
        #expect(resymbolicator.complete(report, time: Self.now) == (report, 0))
    }

    @Test func framesBehindAFoldedCycleKeepTheirNumbers() throws {
        let path = BuildProducts.executable("CrashProbe").path
        let buildID = try #require(ELFImage.buildID(path: path))
        let symbolizer = Symbolizer(options: .init(symbolStores: [], systemDirectories: []))
        let image = ModuleImage(path: path, start: 0, end: .max, bias: 0, buildID: buildID)
        let main = try #require(
            (0x1000..<0x400_000).lazy.map { UInt64($0 * 16) }.first {
                symbolizer.symbolize(address: $0, isReturnAddress: true, in: image).count > 1
            })
        var module = ModuleInfo()
        module.path = path
        module.buildID = BuildID.text(buildID)
        var report = CrashReport(id: "x")
        report.modules = [module]
        var thread = ThreadReport(tid: 1)
        thread.crashed = true
        thread.folded = .init(start: 1, length: 2, repeats: 100)
        thread.frames = [0, 1, 2, 203].map { index in
            var frame = Frame(kind: .native)
            frame.index = index
            frame.module = path
            frame.offset = Address(index == 1 ? main : 1)
            return frame
        }
        report.threads = [thread]
        var resymbolicator = Resymbolicator(symbolizer: symbolizer)
        let completed = try #require(resymbolicator.complete(report, time: Self.now).report.threads?.first)
        let more = symbolizer.symbolize(address: main, isReturnAddress: true, in: image).count - 1
        let turn = 2 + more
        #expect(completed.folded == .init(start: 1, length: turn, repeats: 100))
        #expect(completed.frames?.map(\.index) == Array(0...turn) + [1 + turn + 100 * turn])
    }

    @Test func hostileReportsAreNoHarm() throws {
        var frame = Frame(kind: .native)
        frame.module = "/bin/sh"
        frame.offset = Address(.max)
        frame.inlined = true
        var thread = ThreadReport(tid: 1)
        thread.frames = [frame, frame, frame]
        var report = CrashReport(id: "x")
        var module = ModuleInfo()
        module.path = "/bin/sh"
        module.buildID = ELFImage.buildID(path: "/bin/sh").map(BuildID.text)
        module.base = Address(.max)
        module.size = .max
        report.modules = [module, module]
        frame.index = 0
        for repeats in [Int.max, Int.min, .max / 2] {
            thread.folded = .init(start: 0, length: 2, repeats: repeats)
            thread.frames = [frame, frame, frame]
            report.threads = [thread]
            var resymbolicator = Resymbolicator(symbolizer: Symbolizer())
            _ = resymbolicator.complete(report, time: Self.now)
        }
        for cycle in [(0, Int.max), (Int.max, 1), (-1, 2), (2, 1), (0, 3), (1, 0)] {
            thread.folded = .init(start: cycle.0, length: cycle.1, repeats: 1)
            report.threads = [thread]
            var resymbolicator = Resymbolicator(symbolizer: Symbolizer())
            _ = resymbolicator.complete(report, time: Self.now)
            _ = resymbolicator.missing(in: report)
        }
    }

    @Test func indexesAreMadeAfterACrashAndReadAtTheNext() async throws {
        try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            func crash() throws -> CrashReport {
                let worker = try supervisor.spawnWorker("null-read")
                defer { supervisor.release(worker) }
                try supervisor.watch(worker)
                try supervisor.reap(worker)
                return try supervisor.receiveReport().report
            }
            let first = try crash()
            let probe = try #require(first.modules?.first { $0.path?.hasSuffix("CrashProbe") == true }?.buildID)
            let index = supervisor.directory.file("crashes/.symbol-index/\(probe).index")
            let deadline = Date().addingTimeInterval(60)
            while !FileManager.default.fileExists(atPath: index.path), Date() < deadline { usleep(20_000) }
            #expect(FileManager.default.fileExists(atPath: index.path))
            supervisor.killCollector()
            try supervisor.startCollector()
            let second = try crash()
            #expect(shown(second) == shown(first))
            #expect(second.fingerprint?.hash == first.fingerprint?.hash)
        }
    }
}
