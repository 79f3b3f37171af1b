// `granite-crash symbols` and `resymbolicate` as programs, and what they bring from a real debuginfod server.

import Foundation
import GraniteReport
import GraniteStore
import GraniteSymbols
import TestSupport
import Testing

/// Programs that the tests need beside Granite.
private enum SymbolTools {
    static let hasTools = ["gcc", "strip", "objcopy"].allSatisfy { tool($0) != nil }

    static func tool(_ name: String) -> URL? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map { URL(fileURLWithPath: String($0)).appendingPathComponent(name) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }
}

@Suite(.timeLimit(.minutes(3)), .enabled(if: SymbolTools.hasTools))
struct SymbolCommandTests {
    let folder: TemporaryDirectory
    let reports: ReportStore
    /// Unstripped, in a folder of its own; and where the report says that the stripped one was.
    let whole: URL
    let stripped: URL
    let buildID: [UInt8]

    init() async throws {
        folder = try TemporaryDirectory()
        reports = ReportStore(directory: CrashDirectory(path: folder.file("crashes").path))
        let source = try folder.write(
            """
            int *pointer;
            __attribute__((noinline)) int look_up(int *p) {
                return *p + 1;
            }
            int main(void) { return look_up(pointer) + 1; }
            """, to: "worker.c")
        (whole, stripped) = (folder.file("whole/worker"), folder.file("worker"))
        try FileManager.default.createDirectory(at: folder.file("whole"), withIntermediateDirectories: true)
        for (name, arguments) in [
            ("gcc", ["-O1", "-g", "-Wl,--build-id", source.path, "-o", whole.path]),
            ("strip", ["--strip-all", "-o", stripped.path, whole.path]),
        ] {
            let result = try await Command.run(try #require(SymbolTools.tool(name)), arguments)
            try #require(result.ending == .code(0), "\(result.errors)")
        }
        buildID = try #require(ELFImage.buildID(path: whole.path))
        try reports.save(try report())
    }

    /// Of the stripped program: module, build-id and offset are all that is known of its function.
    private func report() throws -> CrashReport {
        let symbolizer = Symbolizer(options: .init(symbolStores: [], systemDirectories: []))
        let image = ModuleImage(path: whole.path, start: 0, end: .max, bias: 0, buildID: buildID)
        let offset = try #require(
            (UInt64(0x1000)..<0x2000).first {
                symbolizer.symbolize(address: $0, isReturnAddress: false, in: image).first?.symbol == "look_up"
            })
        var report = CrashReport(id: ULID.make(milliseconds: 1_700_000_000_000, randomHigh: 0, randomLow: 1))
        report.kind = .signal
        report.reason = "The program read address 0x0: a null pointer."
        var frame = Frame(kind: .native)
        (frame.index, frame.trust, frame.module) = (0, .context, stripped.path)
        frame.address = Address(0x5555_0000_0000 + offset)
        frame.offset = Address(offset)
        var thread = ThreadReport(tid: 1)
        thread.crashed = true
        thread.frames = [frame]
        report.threads = [thread]
        var module = ModuleInfo()
        (module.path, module.base, module.size) = (stripped.path, Address(0x5555_0000_0000), 0x5000)
        module.buildID = BuildID.text(buildID)
        module.debug = "missing"
        report.modules = [module]
        report.fingerprint = Fingerprint.make(for: report)
        return report
    }

    private func run(_ arguments: String..., environment: [String: String?] = [:]) async throws -> (
        ending: Command.Ending, output: String, errors: String
    ) {
        try await Command.run(
            BuildProducts.executable("granite-crash"), arguments,
            environment: [
                "GRANITE_CRASH_DIR": reports.directory.path, "GRANITE_SYMBOLS": folder.file("store").path,
                "DEBUGINFOD_URLS": nil, "XDG_DATA_HOME": folder.file("data").path,
            ].merging(environment) { $1 }, directory: folder.url)
    }

    private var top: Frame? { get throws { try reports.load("last").report.threads?.first?.frames?.first } }

    @Test func completesAReportFromTheStore() async throws {
        let id = try reports.load("last").report.id
        let nothing = try await run("resymbolicate", "last")
        #expect(nothing.ending == .code(0))
        #expect(
            nothing.errors
                == "granite-crash: \(id): nothing to add. No debug information for worker (build-id \(BuildID.text(buildID))).\n"
        )
        let added = try await run("symbols", "add", "whole")
        #expect(added.ending == .code(0))
        let hex = BuildID.text(buildID)
        let target = folder.file("store/.build-id/\(hex.prefix(2))/\(hex.dropFirst(2)).debug").path
        #expect(added.output == "added  whole/worker → \(target) (dwarf, symtab, code)\n")
        let listed = try await run("symbols", "list")
        #expect(listed.output.hasPrefix("\(hex)  "))
        #expect(listed.output.contains("  dwarf, symtab, code  "))
        #expect(try await run("symbols", "verify").output == "1 file checked, 0 damaged\n")

        let printed = try await run("resymbolicate", "last", "--json")
        #expect(try CrashReport.decode(Array(printed.output.utf8)).threads?.first?.frames?.first?.symbol == "look_up")
        #expect(try top?.symbol == nil)
        let done = try await run("resymbolicate", "last")
        #expect(done.errors == "granite-crash: \(id): 1 frame completed.\n")
        #expect(try top?.symbol == "look_up")
        #expect(try top?.line == 3)
        #expect(try top?.source?.contains { $0.text == "    return *p + 1;" } == true)
        let report = try reports.load("last").report
        #expect(report.reason == "look_up read address 0x0: a null pointer.")
        #expect(report.id == id)
        #expect(report.resymbolicated?.frames == 1)
        #expect(report.fingerprint?.inputs.contains("look_up") == true)
        #expect(try await run("show", "last").output.contains("look_up"))
    }

    @Test func verifyNamesAFileThatIsNotWhatItsNameSays() async throws {
        _ = try await run("symbols", "add", "whole/worker")
        let store = SymbolStore(directory: folder.file("store").path)
        let entry = try #require(store.entries().first)
        let other = store.path(of: [buildID[0], 2, 3], isDebugFile: true)
        try FileManager.default.moveItem(atPath: entry.path, toPath: other)
        let verified = try await run("symbols", "verify")
        #expect(verified.ending == .code(1))
        #expect(verified.output == "1 file checked, 1 damaged\n")
        #expect(verified.errors.contains("it is not the file that its name says"))
    }

    @Test func pruneKeepsTheBuildsThatReportsName() async throws {
        _ = try await run("symbols", "add", "whole", BuildProducts.executable("CrashProbe").path)
        let rehearsed = try await run("symbols", "prune", "--not-in-use", "--dry-run")
        #expect(rehearsed.output.hasPrefix("would remove "))
        let store = SymbolStore(directory: folder.file("store").path)
        #expect(store.entries().count == 2)
        #expect(try await run("symbols", "prune", "--not-in-use").output.contains("\n1 file, "))
        #expect(store.entries().map(\.buildID) == [buildID])
        #expect(try await run("symbols", "prune").ending == .code(64))
        #expect(try await run("symbols", "prune", "--max-size", "many").ending == .code(64))
        #expect(try await run("symbols", "prune", "--max-size", "0").output.contains("\n1 file, "))
        #expect(try await run("symbols", "list").ending == .code(1))
    }

    @Test func addFailsForANamedFileThatHelpsNobody() async throws {
        let added = try await run("symbols", "add", "worker.c", "worker", "/nonexistent")
        #expect(added.ending == .code(1))
        #expect(
            added.errors == """
                granite-crash: worker.c is no 64-bit ELF file.
                granite-crash: worker has neither debug information nor a symbol table.
                granite-crash: /nonexistent cannot be read for symbols: No such file or directory.

                """)
    }

    // MARK: debuginfod

    /// A socket that counts who connects.
    private final class Listener {
        let descriptor: Int32
        let port: UInt16

        init() throws {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isBound = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    bind(descriptor, pointer, length) == 0 && listen(descriptor, 8) == 0
                        && getsockname(descriptor, pointer, &length) == 0
                }
            }
            try #require(isBound)
            self.descriptor = descriptor
            port = UInt16(bigEndian: address.sin_port)
        }

        deinit { close(descriptor) }

        var hasVisitor: Bool {
            let visitor = accept(descriptor, nil, nil)
            if visitor >= 0 { close(visitor) }
            return visitor >= 0
        }
    }

    @Test func nothingIsFetchedUnlessAsked() async throws {
        let listener = try Listener()
        let urls = ["DEBUGINFOD_URLS": "http://127.0.0.1:\(listener.port)"] as [String: String?]
        for arguments in [
            ["resymbolicate", "last"], ["show", "last"], ["symbols", "add", "whole"], ["symbols", "verify"],
        ] {
            _ = try await Command.run(
                BuildProducts.executable("granite-crash"), arguments,
                environment: urls.merging([
                    "GRANITE_CRASH_DIR": reports.directory.path, "GRANITE_SYMBOLS": folder.file("store").path,
                ]) { $1 }, directory: folder.url)
        }
        #expect(!listener.hasVisitor)
    }

    @Test func fetchSaysWhichServerIsMissing() async throws {
        let result = try await run("resymbolicate", "last", "--fetch")
        #expect(result.ending == .code(0))
        #expect(result.errors.contains("Nothing was fetched: DEBUGINFOD_URLS names no server to fetch from"))
    }

    @Test(.enabled(if: SymbolTools.tool("debuginfod") != nil), arguments: ["resymbolicate", "show"])
    func fetchesFromADebuginfodServer(_ command: String) async throws {
        // Given: a server that has the unstripped program. Its port is one that was free a moment ago.
        let port = try Listener().port
        let server = try Command(
            try #require(SymbolTools.tool("debuginfod")),
            ["-F", "-p", "\(port)", "-d", folder.file("index.sqlite").path, "-t", "1", folder.file("whole").path],
            environment: ["DEBUGINFOD_URLS": nil])
        defer { server.send(signal: SIGKILL) }
        let urls: [String: String?] = ["DEBUGINFOD_URLS": "http://127.0.0.1:\(port)"]
        // When: asked again until it has looked through the folder.
        var errors = ""
        let isDone = try await Command.eventually(limit: 60) {
            errors = try await run(command, "last", "--fetch", environment: urls).errors
            return try top?.symbol == "look_up"
        }
        // Then
        #expect(isDone, "\(errors)")
        #expect(errors.contains("worker (build-id \(BuildID.text(buildID))): fetched to "))
        let entries = SymbolStore(directory: folder.file("store").path).entries()
        #expect(entries.map(\.buildID) == [buildID])
        #expect(try top?.line == 3)
        let unknown = try #require(BuildID.bytes("00112233445566778899aabbccddeeff00112233"))
        let client = try DebuginfodClient(servers: "http://127.0.0.1:\(port)")
        do {
            _ = try client.fetch(.debuginfo, buildID: unknown)
            Issue.record("the server has a build that nobody made")
        } catch {
            #expect(error.isAbsence)
            #expect(error.description == "no server has it")
        }
        server.send(signal: SIGTERM)
        _ = await server.wait(limit: 20)
    }
}
