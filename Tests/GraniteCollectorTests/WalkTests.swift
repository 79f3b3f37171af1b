// Stacks that are hard to walk, by real crashes: which functions are found, in which order, and how much each is to be believed.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct WalkTests {
    struct Expectation: Sendable, CustomTestStringConvertible {
        var name: String
        /// Innermost first; others may be between them.
        var frames: [String]
        var testDescription: String { name }
    }

    static let levels = ["level3(_:_:)", "level2(_:_:)", "level1(_:_:)", "static Main.main()", "_start"]

    static let expectations = [
        Expectation(
            name: "in-signal-handler",
            frames: [
                "granite_probe_null_read", "handle_by_crashing", "__restore_rt", "interrupted_loop",
                "granite_probe_in_handler",
            ] + levels),
        Expectation(
            name: "in-signal-handler-alternate",
            frames: [
                "granite_probe_null_read", "handle_by_crashing", "__restore_rt", "interrupted_loop",
                "granite_probe_in_handler",
            ] + levels),
        Expectation(
            name: "through-generated-code",
            frames: ["granite_probe_null_read", "granite_probe_through_generated"] + levels),
        Expectation(name: "execute-data", frames: ["granite_probe_execute_data"] + levels),
        Expectation(name: "call-wild", frames: ["granite_probe_call_wild"] + levels),
        Expectation(name: "return-wild", frames: levels),
        Expectation(name: "in-coroutine", frames: ["granite_probe_null_read", "coroutine_body", "__start_context"]),
        Expectation(
            name: "odd-frames",
            frames: [
                "granite_probe_null_read", "with_alloca", "with_varargs", "compare", "granite_probe_odd_frames",
            ] + levels),
    ]

    @Test(arguments: expectations) func walkReachesTheOutermostFunction(_ expected: Expectation) async throws {
        let thread = try await Self.crashedThread(of: expected.name)
        Self.expect(expected.frames, in: thread)
        #expect(thread.truncated != true)
        #expect(thread.note == nil)
    }

    @Test func damagedReturnAddressIsNamedAndWhatFollowsIsMarked() async throws {
        let thread = try await Self.crashedThread(of: "smashed-return-address")
        Self.expect(["granite_probe_null_read", "smashed_inner", "static Main.main()"], in: thread)
        #expect(
            thread.note
                == "The return address of frame 1 is 0x4141414141414141, which is no code: the stack is damaged there.")
        #expect(thread.frames?.first { $0.index ?? 0 > 1 && $0.inlined != true }?.trust == .scan)
    }

    @Test func mutualRecursionIsCountedToItsOuterEnd() async throws {
        let thread = try await Self.crashedThread(of: "stack-overflow-mutual")
        let cycle = try #require(thread.folded)
        #expect(cycle.length == 2)
        #expect(cycle.repeats > 10_000)
        if cycle.atLeast != true {
            Self.expect(["granite_probe_pong", "granite_probe_ping"] + Self.levels, in: thread)
            #expect((thread.frames?.last?.index ?? 0) > 2 * cycle.repeats)
        }
    }

    // MARK: Libraries

    private static let source = """
        #define KEPT __attribute__((noinline))
        #define STAY __asm__ volatile("" ::: "memory")
        static KEPT int inner(int (*crash)(void)) { volatile char room[ROOM]; room[0] = 1; int v = crash(); STAY; return v + room[0]; }
        KEPT int middle(int (*crash)(void), int n) { volatile char room[100]; room[n] = 2; int v = inner(crash); STAY; return v + room[n]; }
        KEPT int outer(int (*crash)(void)) { int v = middle(crash, 3); STAY; return v + 1; }
        """

    private static func build(_ directory: TemporaryDirectory, _ name: String, _ options: [String]) async throws
        -> String
    {
        let source = try directory.write(Self.source, to: "library.c")
        let library = directory.file(name).path
        let output = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/cc"),
            ["-O2", "-fPIC", "-shared", "-Wl,--build-id", "-o", library, source.path] + options)
        #expect(output.ending == .code(0), "\(output.errors)")
        return library
    }

    @Test(arguments: [
        ["-fno-omit-frame-pointer"], ["-fomit-frame-pointer"],
    ]) func libraryWithoutCallFrameInformationIsCrossedAndMarked(_ options: [String]) async throws {
        let directory = try TemporaryDirectory()
        let library = try await Self.build(
            directory, "bare.so",
            options + ["-DROOM=200", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"])
        let thread = try await Self.crashedThread(of: "through-library", ["--argument", library])
        var frames = ["granite_probe_null_read", "inner", "middle", "outer", "granite_probe_through"]
        // An optimized caller keeps no frame pointer for the search to check it by: it may be passed over, and `?` says that it
        // was a search.
        if !Self.isDebugBuild, thread.frames?.contains(where: { $0.symbol == frames[4] }) == false {
            frames.removeLast()
        }
        Self.expect(frames + Self.levels, in: thread)
        let trusts = frames.map { name in thread.frames?.first { $0.symbol == name }?.trust }
        #expect(trusts[0] == .context)
        #expect(trusts[1] == .cfi)
        #expect(trusts[2...].allSatisfy { $0 == (options[0].hasPrefix("-fno") ? .framePointer : .scan) }, "\(trusts)")
        #expect(thread.frames?.last?.trust == .cfi)
    }

    @Test func replacedLibraryIsWalkedByWhatWasLoaded() async throws {
        let directory = try TemporaryDirectory()
        let library = try await Self.build(directory, "deployed.so", ["-fomit-frame-pointer", "-DROOM=200"])
        _ = try await Self.build(directory, "deployed.so.new", ["-fomit-frame-pointer", "-DROOM=900"])
        let thread = try await Self.crashedThread(of: "through-replaced-library", ["--argument", library])
        Self.expect(["granite_probe_null_read", "granite_probe_through_replaced"] + Self.levels, in: thread)
        let inLibrary = (thread.frames ?? []).filter { $0.module == library }
        #expect(inLibrary.count == 3)
        #expect(inLibrary.allSatisfy { $0.symbol == nil && $0.line == nil && $0.trust == .cfi }, "\(inLibrary)")
        #expect(thread.frames?[4].symbol == "granite_probe_through_replaced")
    }

    @Test func libraryInAMemfdIsWalkedByItsMemory() async throws {
        let directory = try TemporaryDirectory()
        let library = try await Self.build(directory, "plugin.so", ["-fomit-frame-pointer", "-DROOM=200"])
        let thread = try await Self.crashedThread(of: "through-memfd", ["--argument", library])
        #expect(
            thread.frames?.dropFirst().prefix(3).allSatisfy { $0.module == "/memfd:plugin" && $0.trust == .cfi } == true
        )
        Self.expect(["granite_probe_null_read", "granite_probe_through_memfd"] + Self.levels, in: thread)
    }

    // MARK: Async

    @Test(arguments: [
        ("async", ["async5(_:)", "async4(_:)", "async3(_:)", "async2(_:)", "async1(_:)"]),
        ("async-group", ["async5(_:)", "async4(_:)", "async3(_:)"]),
        ("async-actor", ["Counter.count(_:)", "hopping(_:)"]),
        ("async-main-actor", ["async5(_:)", "async4(_:)", "onMainActor()"]),
    ]) func waitingAsyncCallersAreShown(_ name: String, _ functions: [String]) async throws {
        let thread = try await Self.crashedThread(of: name)
        let async = (thread.frames ?? []).filter { $0.symbol?.contains("AsyncCases.") == true && $0.inlined != true }
        let names = async.dropFirst().compactMap { $0.symbol?.components(separatedBy: "AsyncCases.").last }
        #expect(Array(names.prefix(functions.count)) == functions)
        #expect(async.dropFirst(2).allSatisfy { $0.kind == .swiftAsync })
        // The optimizer leaves the place where a small function goes on without a line.
        #expect(!Self.isDebugBuild || async.dropFirst(2).prefix(functions.count - 1).allSatisfy { $0.line != nil })
    }

    /// Swift's own backtracer is the oracle: it knows the runtime that it came with.
    @Test(arguments: ["async", "async-group", "async-actor", "async-main-actor"])
    func asyncCallersAreThoseOfSwiftsOwnBacktracer(_ name: String) async throws {
        let run = try await Command.run(
            BuildProducts.executable("CrashProbe"), [name, "--level", "off"],
            environment: ["SWIFT_BACKTRACE": "enable=yes,color=no"])
        let expected = (run.output + run.errors).split(separator: "\n").filter { $0.contains("[async]") }.compactMap {
            line in
            line.split(separator: " 0x").last?.split(separator: " ", maxSplits: 1).last.map(Self.function)
        }
        try #require(expected.count >= 3, "\(run.errors)")
        let thread = try await Self.crashedThread(of: name)
        let found = (thread.frames ?? []).filter { $0.kind == .swiftAsync && $0.inlined != true }
        #expect(found.count == expected.count)
        #expect(
            found.compactMap(\.symbol).filter { $0.contains("AsyncCases.") }
                == expected.filter { $0.contains("AsyncCases.") })
    }

    /// `static AsyncCases.async4(_:)` of `static AsyncCases.async4(_:) + 12 in CrashProbe at …`.
    private static func function(_ text: Substring) -> String {
        let name = text.components(separatedBy: " in CrashProbe").first ?? ""
        return name.components(separatedBy: " + ").first ?? name
    }

    // MARK: Looking

    #if DEBUG
    private static let isDebugBuild = true
    #else
    private static let isDebugBuild = false
    #endif

    private static func crashedThread(of name: String, _ arguments: [String] = []) async throws -> ThreadReport {
        let report = try await FakeSupervisor.report(of: name, arguments: arguments).report
        return try #require(report.threads?.first)
    }

    private static func expect(_ wanted: [String], in thread: ThreadReport) {
        var names = (thread.frames ?? []).compactMap(\.symbol)[...]
        for name in wanted {
            let position = names.firstIndex(of: name)
            #expect(
                position != nil,
                "\(name) is missing or out of order in \((thread.frames ?? []).map { $0.symbol ?? "?" })")
            if let position { names = names[(position + 1)...] }
        }
    }
}
