// Who made an object, and what holds its like: told of a class whose objects refuse to be released on another thread.

import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5)))
struct OriginTests {
    /// What Fixtures/origins.py prints.
    struct Told: Decodable {
        struct Answer: Decodable {
            var details: String
            var owner: UInt32
            var owner_name: String
            var created: UInt64
            var known: Bool

            var lines: CaptureDetails { CaptureDetails(details) }
        }
        /// Of the first release whose maker is not known, and of the first whose is.
        var answers: [Answer]
        /// On another thread than the maker's.
        var releases: Int
        var maker: UInt32?
        var numbers: [Int]?
    }

    /// Those that an extension module can be built for.
    static let pythons = HookedPython.installed.filter {
        FileManager.default.fileExists(atPath: include($0) + "/Python.h")
    }

    private static func include(_ python: HookedPython) -> String {
        let prefix = URL(fileURLWithPath: python.path).deletingLastPathComponent().deletingLastPathComponent().path
        return "\(prefix)/include/python\(python.version)"
    }

    /// A handler that catches an exception and forgets it in a local variable: what its caller's frame holds is garbage in a cycle.
    private static let handler = """
        from origins import *
        import unsendable
        class Boom(Exception): pass
        def lookup():
            err = None
            try: raise Boom
            except Boom as e: err = e
        def handler():
            bound = unsendable.Bound()
            lookup()

        """

    private func run(_ python: HookedPython, _ script: String, environment: [String: String?] = [:]) async throws
        -> Told
    {
        let folder = try TemporaryDirectory()
        let fixtures = BuildProducts.checkout.appendingPathComponent("Tests/GraniteHooksTests/Fixtures")
        let build = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/cc"),
            [
                "-shared", "-fPIC", "-O1", "-I", Self.include(python), "-o", folder.file("unsendable.so").path,
                fixtures.appendingPathComponent("unsendable.c").path,
            ])
        try #require(build.ending == .code(0), "\(build.errors)")
        try folder.write(Self.handler + script, to: "app.py")
        var variables: [String: String?] = [
            "GRANITE_TEST_PRELOAD": BuildProducts.directory.appendingPathComponent("libgranite-preload.so").path,
            "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": fixtures.path,
        ]
        variables.merge(environment) { $1 }
        let result = try await Command.run(
            URL(fileURLWithPath: python.path), ["app.py"], environment: variables, directory: folder.url)
        try #require(result.ending == .code(0), "\(result.ending) \(result.errors)")
        return try JSONDecoder().decode(Told.self, from: Data(result.output.utf8))
    }

    @Test(arguments: pythons)
    func aTypeIsWatchedFromItsFirstReportOnAndTheNextNamesMakerAndCycle(_ python: HookedPython) async throws {
        let told = try await run(
            python,
            """
            gc.disable()
            on_thread(handler)
            gc.collect()
            def many():
                for _ in range(40): handler()
            maker = on_thread(many)
            gc.collect()
            finish(maker=maker)
            """)
        #expect(told.releases == 41)
        try #require(told.answers.map(\.known) == [false, true])
        #expect(told.answers[0].details == "type=unsendable.Bound\n")
        let answer = told.answers[1]
        #expect(answer.owner == told.maker)
        #expect(answer.owner_name.hasPrefix("python"))
        #expect(answer.created > 1_700_000_000_000_000_000)
        #expect(answer.lines["type"] == "unsendable.Bound")
        #expect(answer.lines["created_in"] == "handler (app.py:9)")
        #expect(answer.lines["living"] == "39")
        #expect(answer.lines["referrers_of"] == "another")
        #expect(answer.lines.all("referrer") == ["1 builtins.frame"])
        #expect(
            answer.lines.all("held_by") == [
                "frame lookup (app.py:7), local err", "__main__.Boom, its traceback", "traceback, its frame",
                "frame lookup (app.py:7) again, its caller", "frame handler (app.py:10), local bound",
            ])
    }

    @Test(arguments: pythons)
    func aTypeThatTheOperatorNamesHasItsMakerInTheFirstReport(_ python: HookedPython) async throws {
        let told = try await run(
            python,
            """
            watch_named_types()
            made = []
            maker = on_thread(lambda: made.append(unsendable.Bound()))
            made.clear()
            finish(maker=maker)
            """, environment: ["GRANITE_WATCH_TYPES": "absent.Other,unsendable.Bound"])
        try #require(told.answers.map(\.known) == [true])
        #expect(told.answers[0].owner == told.maker)
        #expect(told.answers[0].lines["created_in"] == "<lambda> (app.py:13)")
        #expect(told.answers[0].lines["living"] == nil)
    }

    @Test(arguments: ["Plain", "__main__.Plain", "dict", "builtins.list", ",,", "unsendable.Nothing"])
    func whatHasNoReleaseOfItsOwnIsLeftAlone(_ names: String) async throws {
        let told = try await run(
            try .usual,
            """
            class Plain: pass
            class Derived(Plain): pass
            watch_named_types()
            for _ in range(100): Plain(), Derived(), {}, []
            finish(numbers=[ask(name, False)['details'].count('living') for name in ('Plain', 'dict', 'list')])
            """, environment: ["GRANITE_WATCH_TYPES": names])
        #expect(told.numbers == [0, 0, 0])
    }

    @Test(arguments: pythons)
    func moreObjectsThanRecordsAreStillCounted(_ python: HookedPython) async throws {
        let told = try await run(
            python,
            """
            def living():
                lines = ask('unsendable::Bound')['details'].splitlines()
                return next((int(line[7:]) for line in lines if line.startswith('living=')), 0)
            numbers = [living()]
            kept = [unsendable.Bound() for _ in range(30_000)]
            numbers.append(living())
            del kept[::3]
            numbers.append(living())
            kept += [unsendable.Bound() for _ in range(10_000)]
            numbers.append(living())
            kept.clear()
            numbers.append(living())
            finish(numbers=numbers)
            """)
        #expect(told.numbers == [0, 30_000, 20_000, 30_000, 0])
        #expect(told.releases == 0)
    }

    /// A Python class that derives from a watched one is released through the watched one's function.
    @Test(arguments: pythons)
    func derivedClassesAndManyThreadsAreReleasedAsEver(_ python: HookedPython) async throws {
        let told = try await run(
            python,
            """
            class Derived(unsendable.Bound):
                def __init__(self): self.own = self
            on_thread(handler)
            gc.collect()
            def work():
                for _ in range(2000):
                    handler()
                    Derived()
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            gc.collect()
            left = sum(isinstance(thing, unsendable.Bound) for thing in gc.get_objects())
            finish(numbers=[left, ask('unsendable::Bound')['details'].count('living=')])
            """)
        #expect(told.numbers == [0, 0])
        #expect(told.releases > 1)
    }

    @Test(arguments: pythons)
    func anObjectThatNoCycleHoldsHasReferrersAlone(_ python: HookedPython) async throws {
        let told = try await run(
            python,
            """
            ask('unsendable::Bound')
            keeper = {'key': [unsendable.Bound()]}
            made = []
            on_thread(lambda: made.append(unsendable.Bound()))
            made.clear()
            finish()
            """)
        let lines = try #require(told.answers.first { $0.known }).lines
        #expect(lines.all("referrer") == ["1 builtins.list"])
        #expect(lines.all("held_by") == [])
        #expect(lines["living"] == "1")
    }

    /// PyO3's sentence may come out of any object's `__del__`.
    @Test func theTypeIsTheMessagesNotTheOneThatIsAtHand() async throws {
        let told = try await run(
            try .usual,
            """
            class Other: pass
            answers = [ask('unsendable::Bound', True, Other()), ask('absent::Type', True, Other()),
                       ask('unsendable::Bound', True, unsendable.Bound)]
            import origins
            origins.answers += answers
            kept = unsendable.Bound()
            finish(numbers=[ask('x', False, Other())['details'].count('type=x'),
                            ask('unsendable::Bound')['details'].count('living=1')])
            """)
        #expect(
            told.answers.map(\.details) == [
                "type=unsendable.Bound\n", "type=absent::Type\n", "type=unsendable.Bound\n",
            ])
        #expect(told.numbers == [1, 1])
    }

    @Test(arguments: pythons)
    func theSearchChangesNothing(_ python: HookedPython) async throws {
        let told = try await run(
            python,
            """
            import weakref
            class Value: pass
            def search():
                value = Value()
                alive = weakref.ref(value)
                counts = [sys.getrefcount(value)]
                ask('__main__.Value', False, value)
                counts.append(sys.getrefcount(value))
                del value
                return counts[1] - counts[0], alive() is not None
            gc.disable()
            first = search()
            off = gc.isenabled()
            gc.enable()
            search()
            finish(numbers=[*map(int, first), int(off), int(gc.isenabled())])
            """)
        #expect(told.numbers == [0, 0, 0, 1])
    }
}
