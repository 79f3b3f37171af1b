// Core dumps as they are, cut anywhere, and files that are none.

import Foundation
import GraniteCollector
import GraniteReport
import GraniteSymbols
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct CoreFileTests {
    static let sleeper = URL(fileURLWithPath: "/bin/sleep")

    @Test(.enabled(if: CoreDump.gcore != nil, "gdb's gcore is missing"), arguments: PythonInstallation.oneOfEach)
    func coreOfPythonHasTheFramesOfAllItsThreads(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "nest", threads: 6)
        let dump = try await CoreDump(ofProcess: host.pid)
        let report = try CoreReport(CoreFile(path: dump.path)).make(symbolizer: Symbolizer())
        await host.end()

        #expect(report.kind == .dump, "gdb's own stop is no signal of the program")
        #expect(report.process?.pid == Int(host.pid))
        #expect(report.python?.threads == host.truth.threads.count + 1)
        try Self.expectTruth(report, host)
    }

    /// Each thread's Python frames are those that the interpreter told.
    static func expectTruth(_ report: CrashReport, _ host: PythonHost) throws {
        #expect(!host.truth.threads.isEmpty)
        for truth in host.truth.threads {
            let thread = try #require(report.threads?.first { $0.tid == truth.native })
            let frames = (thread.frames ?? []).filter { $0.kind == .python }
            #expect(frames.map(\.symbol) == truth.expected.map(\.name))
            #expect(frames.map(\.line) == truth.expected.map(\.line))
            #expect(thread.frames?.contains { $0.kind == .native } == true)
        }
    }

    @Test(.enabled(if: CoreDump.gcore != nil, "gdb's gcore is missing"))
    func coreThatIsCutAnywhereIsReadAsFarAsItGoesOrRefused() async throws {
        let process = try Command(Self.sleeper, ["600"])
        let dump = try await CoreDump(ofProcess: process.pid)
        process.send(signal: SIGKILL)
        let whole = try Data(contentsOf: URL(fileURLWithPath: dump.path))
        let symbolizer = Symbolizer()
        let cut = dump.folder.file("cut").path
        var reports = 0
        var refusals = 0
        let lengths =
            Array(0..<256) + stride(from: 256, to: 8192, by: 61)
            + stride(from: 8192, to: whole.count, by: whole.count / 100)
        for length in lengths {
            try whole.prefix(length).write(to: URL(fileURLWithPath: cut))
            do {
                let report = try CoreReport(CoreFile(path: cut)).make(symbolizer: symbolizer)
                #expect(report.capture?.errors?.contains { $0.contains("cut off") } == true)
                reports += 1
            } catch {
                #expect("\(error)".hasSuffix("."))
                refusals += 1
            }
        }
        #expect(reports > 0)
        #expect(refusals > 256)
    }

    @Test(.enabled(if: CoreDump.gcore != nil, "gdb's gcore is missing"))
    func coreWithDamagedTablesNeverTraps() async throws {
        let process = try Command(Self.sleeper, ["600"])
        let dump = try await CoreDump(ofProcess: process.pid)
        process.send(signal: SIGKILL)
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: dump.path)))
        let symbolizer = Symbolizer()
        let damaged = dump.folder.file("damaged").path
        try Data(whole).write(to: URL(fileURLWithPath: damaged))
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: damaged))
        var random = SystemRandomNumberGenerator()
        // Header, program headers and gdb's notes come first.
        let reach = min(whole.count, 12_288)
        for _ in 0..<300 {
            var positions: [Int] = []
            for _ in 0..<8 {
                let position = Int.random(in: 16..<reach, using: &random)
                positions.append(position)
                try file.seek(toOffset: UInt64(position))
                try file.write(contentsOf: Data([[0, 0xff, 0x7f, 0x80, 1].randomElement(using: &random) ?? 0]))
            }
            if let core = try? CoreFile(path: damaged), let report = try? CoreReport(core) {
                _ = report.make(symbolizer: symbolizer)
            }
            for position in positions {
                try file.seek(toOffset: UInt64(position))
                try file.write(contentsOf: Data([whole[position]]))
            }
        }
        #expect(try CoreReport(CoreFile(path: damaged)).make(symbolizer: symbolizer).threads?.isEmpty == false)
    }

    @Test(
        arguments: [
            ([], "is empty"),
            (
                Array("hello, world, this is a text of more than sixty-four bytes in all, no core".utf8),
                "is not a core dump"
            ),
            ([0x28, 0xb5, 0x2f, 0xfd, 0, 0], "zstd -d"), ([0x04, 0x22, 0x4d, 0x18], "lz4 -d"),
            ([0x1f, 0x8b, 8], "gzip -d"),
            ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "xz -d"), (Array("KDUMP   ".utf8), "of a kernel"),
            ([0x7f, 0x45, 0x4c, 0x46], "cut off"),
            ([0x7f, 0x45, 0x4c, 0x46, 1, 1] + Array(repeating: UInt8(0), count: 64), "32-bit"),
            ([0x7f, 0x45, 0x4c, 0x46, 2, 2] + Array(repeating: UInt8(0), count: 64), "big-endian"),
            (elf(type: 2, machine: 62), "is an executable"), (elf(type: 1, machine: 62), "object file"),
            (elf(type: 4, machine: 22), "is of s390x"),
        ] as [([UInt8], String)])
    func fileThatIsNoCoreIsRefusedWithASentence(_ bytes: [UInt8], _ sentence: String) throws {
        let folder = try TemporaryDirectory()
        let file = folder.file("file")
        try Data(bytes).write(to: file)
        let error = #expect(throws: CollectorError.self) { try CoreFile(path: file.path) }
        #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
        #expect(error?.code == .unusableCore)
    }

    private static func elf(type: UInt8, machine: UInt8) -> [UInt8] {
        [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + Array(repeating: UInt8(0), count: 9) + [type, 0, machine, 0]
            + Array(repeating: UInt8(0), count: 60)
    }
}
