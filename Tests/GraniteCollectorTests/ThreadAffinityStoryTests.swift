// The story of an object that is bound to its thread: what the diagnosis says of it, from what is known.

import GraniteCollector
import GraniteReport
import Testing

struct ThreadAffinityStoryTests {
    private static let sentence =
        "_granian::wsgi::io::WSGIProtocol is unsendable, but is being dropped on another thread"

    private static func frame(_ kind: Frame.Kind, _ symbol: String, _ file: String? = nil, _ line: Int? = nil) -> Frame
    {
        var frame = Frame(kind: kind)
        frame.symbol = symbol
        frame.file = file
        frame.line = line
        return frame
    }

    /// As the hooks tell it once the type is watched.
    private static func facts() -> CrashFacts {
        var facts = CrashFacts(kind: .dropSite, pid: 1)
        var site = DropSite()
        site.subject = "_granian::wsgi::io::WSGIProtocol"
        site.message = "RuntimeError: \(sentence) (/srv/app.py:11 in lookup)"
        site.hook = "unraisable"
        site.type = "granian._granian.WSGIProtocol"
        site.ownerTid = 99
        site.ownerName = "granian-worker"
        site.ownerState = "ended"
        site.created = "2026-11-24T13:40:11.900Z"
        site.collector = "running"
        site.generation = 2
        site.referrersOf = "another"
        site.heldBy = [
            "frame lookup (app.py:12), local err", "app.Boom, its traceback", "traceback, its frame",
            "frame lookup (app.py:12) again, its caller", "frame _runner (granian/wsgi.py:58), local proto",
        ]
        site.living = 36_161
        var native = frame(.native, "alloc")
        native.module = "/srv/granian/_granian.cpython-311-x86_64-linux-gnu.so"
        site.creationFrames = [native]
        facts.dropSite = site
        facts.threadName = "blocking-3"
        facts.crashedTid = 123
        facts.frames = [
            frame(.native, "gc_collect_main"), frame(.python, "lookup", "/srv/app.py", 11),
            frame(.python, "app", "/srv/app.py", 20),
        ]
        return facts
    }

    @Test func theStoryOfAnObjectDroppedByTheCollector() {
        var facts = Self.facts()
        facts.memory = MemoryInfo()
        facts.memory?.trend = [
            MemorySample(ageSeconds: 4, rssBytes: 23 << 20), MemorySample(ageSeconds: 0, rssBytes: 211 << 20),
        ]
        var occasion = CountedOccasion()
        occasion.message = facts.dropSite?.message
        occasion.count = 6_291
        facts.occasions = [occasion]
        let verdict = Diagnostician.diagnose(facts)
        #expect(
            verdict.reason == """
                _granian::wsgi::io::WSGIProtocol was dropped on thread "blocking-3" (123) during garbage collection of \
                generation 2, while app.py:11 in lookup ran (an innocent line); it belongs to thread "granian-worker" (99).
                """)
        #expect(verdict.diagnosis.category == "thread_affinity")
        #expect(
            verdict.diagnosis.evidence == [
                "sys.unraisablehook was called on thread \"blocking-3\" (123): PyO3 cannot raise an error where an object is released, and leaks what it held",
                "the garbage collector was running on that thread: the line it interrupted is innocent",
                "it belongs to thread \"granian-worker\" (99), which has ended",
                "it was made at 13:40:11.900 UTC by native code of _granian.cpython-311-x86_64-linux-gnu.so",
                "another living object of its type is kept alive by a cycle of references through frame lookup (app.py:12), local err, and from there by _runner (granian/wsgi.py:58), local proto: only the garbage collector frees it, on whichever thread that runs",
                "36,161 objects of its type are alive",
                "memory grew by 47 MiB/s over 4 s",
                "there were 6,290 like it in this process before",
                "Granian before 2.1.2 has this bug: upgrade it; until then run it with --blocking-threads 1, so that one thread makes and releases these objects",
            ])
    }

    @Test func theFirstReportOfATypeSaysThatALaterOneMayKnowMore() {
        var facts = Self.facts()
        var site = DropSite()
        site.message = facts.dropSite?.message
        site.hook = "unraisable"
        facts.dropSite = site
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason.hasSuffix("; it belongs to another thread."), "\(verdict.reason)")
        #expect(verdict.diagnosis.evidence.contains { $0.hasSuffix("a later one may say it") })
        #expect(!verdict.diagnosis.evidence.contains { $0.contains("were made") || $0.contains("like it") })
    }

    @Test func ofAnObjectOlderThanTheWatchNoReportWillSayMore() {
        var facts = Self.facts()
        facts.dropSite?.ownerTid = nil
        #expect(
            Diagnostician.diagnose(facts).diagnosis.evidence.contains(
                "where it was made is not known: it was made before its type was watched"))
    }

    @Test func anotherClassGetsTheGeneralAdvice() {
        var facts = Self.facts()
        facts.dropSite?.message = "RuntimeError: y_py::y_doc::YDoc is unsendbale, but is dropped on another thread!"
        facts.dropSite?.createdIn = "connect (app.py:9)"
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason.hasPrefix("y_py::y_doc::YDoc was dropped on thread"), "\(verdict.reason)")
        #expect(verdict.diagnosis.evidence.contains("it was made at 13:40:11.900 UTC in connect (app.py:9)"))
        let advice = verdict.diagnosis.evidence.last ?? ""
        #expect(advice.contains("break the cycle") && !advice.contains("Granian"), "\(advice)")
    }

    @Test func withoutACollectionTheLineThatRanIsNotInnocent() {
        var facts = Self.facts()
        facts.dropSite?.collector = nil
        facts.frames = [Self.frame(.python, "worker", "/srv/app.py", 30)]
        let reason = Diagnostician.diagnose(facts).reason
        #expect(reason.contains("(123), in app.py:30 in worker; it belongs to"), "\(reason)")
        #expect(!reason.contains("innocent") && !reason.contains("garbage"))
    }

    @Test func aCollectionElsewhereIsNotBlamedOnThisThread() {
        var facts = Self.facts()
        facts.dropSite?.collector = "running_elsewhere"
        let verdict = Diagnostician.diagnose(facts)
        #expect(!verdict.reason.contains("innocent"), "\(verdict.reason)")
        #expect(verdict.diagnosis.evidence.contains { $0.hasPrefix("a garbage collection was under way") })
    }

    @Test(arguments: [
        ("PanicException: assertion failed: right: `ThreadId(1)`: y_py::YDoc is unsendable, but sent to another thread!"),
        ("PanicException: assertion `left == right` failed: y_py::YDoc is unsendable, but sent to another thread"),
    ]) func useOnAnotherThreadIsTold(_ message: String) {
        var facts = Self.facts()
        facts.dropSite?.message = message
        facts.dropSite?.collector = nil
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason.hasPrefix("y_py::YDoc was used on thread \"blocking-3\" (123)"), "\(verdict.reason)")
        #expect(verdict.diagnosis.evidence.last?.contains("make one for each thread") == true)
    }

    @Test func aReleaseWithoutTheGILBlamesTheExtension() {
        var facts = Self.facts()
        facts.dropSite?.message =
            "PanicException: Cannot drop pointer into Python heap without the GIL being held."
        facts.dropSite?.ownerTid = nil
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == "thread_affinity")
        #expect(
            verdict.reason
                == "A Python object was released by Rust code on thread \"blocking-3\" (123), which did not hold the GIL."
        )
        #expect(verdict.diagnosis.evidence.last?.contains("the extension is at fault") == true)
    }

    @Test(arguments: ["", "RuntimeError: no such shop", "X is unsendable, but fast", "RuntimeError: unsendable"])
    func otherMessagesAreNoStory(_ message: String) {
        var facts = CrashFacts(kind: .unraisable, pid: 1)
        facts.dropSite = DropSite()
        facts.dropSite?.message = message
        #expect(Diagnostician.diagnose(facts).diagnosis.category == "unraisable_exception")
    }

    /// Counts and memory come from a page that a broken process wrote.
    @Test func hostileNumbersAreLeftOut() {
        var facts = Self.facts()
        facts.memory = MemoryInfo()
        facts.memory?.trend = [
            MemorySample(ageSeconds: 1e-300, rssBytes: 1), MemorySample(ageSeconds: 0, rssBytes: .max),
        ]
        var occasion = CountedOccasion()
        occasion.message = facts.dropSite?.message
        occasion.count = .min
        facts.occasions = [occasion, occasion]
        facts.dropSite?.living = .min
        let evidence = Diagnostician.diagnose(facts).diagnosis.evidence
        #expect(!evidence.contains { $0.contains("memory grew") || $0.contains("like it") || $0.contains("alive:") })
        #expect(!evidence.contains { $0.hasSuffix("of its type are alive") })
    }
}
