// Which exception a capture is about, and what is said of it: made-up pages and stacks.

import CGraniteCapture
import Glibc
import GraniteReport
import Testing

@testable import GraniteCollector
@testable import GraniteCrashChannel

struct ThrownExceptionTests {
    private static func thrown(
        _ type: String, tid: UInt32 = 100, at milliseconds: UInt64, language: String? = "C++", site: UInt64 = 0x1000
    ) -> CrashPage.Throw {
        .init(
            tid: tid, timeNanoseconds: milliseconds * 1_000_000, language: language, type: type, message: "",
            frames: [Address(site), Address(0x2000)])
    }

    /// A capture of thread 100 after ten seconds.
    private static func capture(_ kind: CrashPage.Kind = .signal, signal: Int32 = SIGABRT) -> CrashPage.Capture {
        var raw = granite_capture()
        raw.kind = kind.rawValue
        raw.crashed_tid = 100
        raw.signal_number = signal
        raw.entered_ns = 10_000_000_000
        return CrashPage.Capture(raw)
    }

    private static func frame(_ symbol: String?, _ module: String = "/opt/app/app", line: Int? = nil) -> Frame {
        var frame = Frame(kind: .native)
        frame.symbol = symbol
        frame.module = module
        if let line { (frame.file, frame.line) = ("/src/app.cpp", line) }
        return frame
    }

    private static let abort = [frame("raise", "/lib/libc.so.6"), frame("abort", "/lib/libc.so.6")]
    private static let terminate =
        abort + [frame("std::terminate()", "/lib/libstdc++.so.6"), frame("__cxa_throw", "/lib/libstdc++.so.6")]

    @Test func theNewestThrowOfTheThreadIsTheCause() {
        let page = ThrownExceptions(thrown: [
            Self.thrown("A", at: 1), Self.thrown("B", at: 2), Self.thrown("C", tid: 101, at: 3),
            Self.thrown("D", at: 10_001),
        ])
        #expect(page.cause(of: Self.capture(), frames: Self.terminate)?.type == "B")
    }

    @Test func anAbortHasAnExceptionOnlyOfTheBlinkBeforeIt() {
        let old = ThrownExceptions(thrown: [Self.thrown("A", at: 9_899)])
        #expect(old.cause(of: Self.capture(), frames: Self.abort) == nil)
        let young = ThrownExceptions(thrown: [Self.thrown("A", at: 9_900)])
        #expect(young.cause(of: Self.capture(), frames: Self.abort)?.type == "A")
    }

    @Test func aFaultHasNone() {
        let page = ThrownExceptions(thrown: [Self.thrown("A", at: 9_999)])
        #expect(page.cause(of: Self.capture(signal: SIGSEGV), frames: Self.terminate) == nil)
        #expect(page.cause(of: Self.capture(.dropSite), frames: []) == nil)
    }

    @Test func aPanicIsNoExceptionOfCPlusPlus() {
        let page = ThrownExceptions(thrown: [
            Self.thrown("", at: 9_998, language: "Rust"), Self.thrown("A", at: 9_999),
        ])
        #expect(page.cause(of: Self.capture(.panic), frames: [])?.language == "Rust")
    }

    @Test func whatIsThrownAgainElsewhereComesFromTheThreadThatThrewIt() {
        let first = Self.thrown("A", tid: 101, at: 5)
        var again = Self.thrown("A", at: 7)
        #expect(ThrownExceptions(thrown: [first, again]).origin(of: again) == again, "a throw of its own")
        again.isAgain = true
        let others = [Self.thrown("A", tid: 101, at: 6, site: 0x5000), Self.thrown("B", at: 6)]
        #expect(ThrownExceptions(thrown: [first] + others + [again]).origin(of: again) == first)
        let own = Self.thrown("A", at: 4)
        #expect(ThrownExceptions(thrown: [own, first, again]).origin(of: again) == own)
        #expect(ThrownExceptions(thrown: [again]).origin(of: again) == again, "the first is not known any more")
    }

    private static func facts(_ frames: [Frame], _ type: String?, tid: Int = 100) -> CrashFacts {
        var facts = CrashFacts(kind: .signal, pid: 100)
        facts.signal = SignalInfo()
        facts.signal?.number = Int(SIGABRT)
        facts.signal?.code = -6
        facts.signal?.name = "SIGABRT"
        facts.registers = Array(repeating: 0x1000, count: Registers.count)
        facts.crashedTid = 100
        facts.frames = frames
        guard let type else { return facts }
        var thrown = ThrownException()
        thrown.language = "C++"
        thrown.type = type
        thrown.tid = tid
        thrown.ageMilliseconds = 0.25
        thrown.frames = [frame("app::load(int)", line: 20), frame("app::open()", line: 31)]
        facts.thrown = thrown
        return facts
    }

    @Test func anUncaughtExceptionIsToldWithoutAWordOnStandardError() {
        let verdict = Diagnostician.diagnose(
            Self.facts(Self.terminate + [Self.frame("app::load(int)")], "std::runtime_error"))
        #expect(verdict.reason == "app::load(int) threw std::runtime_error (app.cpp:20), which nothing caught.")
        #expect(verdict.diagnosis.category == "abort")
        #expect(verdict.diagnosis.confidence == "certain")
        #expect(
            verdict.diagnosis.evidence.last
                == "std::runtime_error was thrown 0.2 ms before in app::load(int) (app.cpp:20)")
    }

    @Test func theThreadThatThrewIsNamedIfItIsAnother() {
        let verdict = Diagnostician.diagnose(Self.facts(Self.terminate + [Self.frame("main")], "A", tid: 107))
        #expect(verdict.diagnosis.evidence.last?.hasSuffix("on thread 107") == true)
    }

    @Test func anExceptionThatWasNotNotedIsStillOne() {
        let verdict = Diagnostician.diagnose(Self.facts(Self.terminate + [Self.frame("app::load(int)")], nil))
        #expect(verdict.reason == "app::load(int) threw an exception, which nothing caught.")
    }

    @Test func terminateWithoutAnExceptionIsNone() {
        let frames = Self.abort + [Self.frame("std::terminate()", "/lib/libstdc++.so.6"), Self.frame("stop()")]
        #expect(Diagnostician.diagnose(Self.facts(frames, nil)).reason == "stop() called std::terminate.")
    }

    @Test func aPlainAbortStaysOne() {
        let verdict = Diagnostician.diagnose(Self.facts(Self.abort + [Self.frame("stop()")], "A"))
        #expect(verdict.reason == "stop() called abort.")
        #expect(verdict.diagnosis.evidence.last?.hasPrefix("A was thrown 0.2 ms before") == true)
    }

    @Test func aPanicNamesTheFunctionOutsideTheStandardLibrary() {
        var facts = CrashFacts(kind: .panic, pid: 100)
        facts.threadName = "worker-7"
        facts.crashedTid = 100
        facts.frames = [
            Self.frame("__rustc::rust_panic"), Self.frame("std::panicking::begin_panic_handler"),
            Self.frame("core::panicking::panic_fmt"), Self.frame("core::option::expect_failed"),
            Self.frame("core::option::Option<T>::expect"), Self.frame("app::answer", line: 40), Self.frame("main"),
        ]
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason == "app::answer panicked (app.cpp:40).")
        #expect(verdict.diagnosis.category == "panic")
        #expect(verdict.diagnosis.evidence.first == "Rust's runtime raised a panic on thread \"worker-7\" (100)")
    }

    @Test func aPanicWithoutNamesIsStillReported() {
        var facts = CrashFacts(kind: .panic, pid: 100)
        facts.frames = [Self.frame(nil)]
        #expect(Diagnostician.diagnose(facts).reason == "A function of Rust panicked.")
    }

    /// Made-up memory; what is in no range is not mapped.
    private struct Memory: RemoteMemory {
        var ranges: [UInt64: [UInt8]]
        func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
            ranges.map { range in
                self.ranges[range.address].flatMap { $0.count >= range.length ? Array($0.prefix(range.length)) : nil }
            }
        }
    }

    private static let map = MemoryMap(
        text: Array(
            """
            10000-20000 r-xp 00000000 08:01 7 /opt/app/wheel.so
            20000-30000 r--p 00010000 08:01 7 /opt/app/wheel.so
            30000-40000 r--p 00000000 08:01 8 /opt/app/other.so

            """.utf8))

    private static func place(_ path: UInt64, _ length: UInt64, _ line: UInt32, _ column: UInt32) -> [UInt8] {
        withUnsafeBytes(of: path, Array.init) + withUnsafeBytes(of: length, Array.init)
            + withUnsafeBytes(of: line, Array.init) + withUnsafeBytes(of: column, Array.init)
    }

    @Test func aPanicIsPlacedByTheConstantThatTheStackPointsTo() {
        let memory = Memory(ranges: [
            0x20100: Self.place(0x20800, 10, 42, 9), 0x20800: Array("src/lib.rs".utf8),
            0x20200: Self.place(0x20900, 24, 7, 5), 0x20900: Array("library/core/src/cell.rs".utf8),
        ])
        let stack: [UInt64] = [1, 0x10008, 0x20008, 0x20200, 0x20200, 0x20100, .max]
        let found = PanicPlace.find(stack: stack, map: Self.map, memory: memory)
        #expect(found == PanicPlace(location: "src/lib.rs:42:9", module: "/opt/app/wheel.so"))
        let standard = PanicPlace.find(stack: [0x20200], map: Self.map, memory: memory)
        #expect(standard?.location == "library/core/src/cell.rs:7:5")
    }

    @Test(arguments: [
        place(0x20800, 10, 0, 9), place(0x20800, 10, 42, 0), place(0x20800, 1 << 40, 42, 9),
        place(0x30800, 10, 42, 9), place(0x10800, 10, 42, 9), place(0, 0, 0, 0), place(0x20801, 10, 42, 9), [],
    ]) func whatIsNoPlaceIsNone(_ record: [UInt8]) {
        let text = Array("src/lib.rs".utf8)
        let memory = Memory(ranges: [
            0x20100: record, 0x20800: text, 0x30800: text, 0x10800: text, 0x20801: Array("src/lib.c!".utf8),
        ])
        #expect(PanicPlace.find(stack: [0x20100], map: Self.map, memory: memory) == nil)
    }

    @Test func anAbortInCodeWithoutNamesIsLikelyAPanicIfItsPlaceIsInTheSameModule() {
        var facts = Self.facts(Self.abort + [Self.frame(nil, "/opt/app/wheel.so")], nil)
        facts.panicPlace = PanicPlace(location: "src/lib.rs:42:9", module: "/opt/app/wheel.so")
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason == "wheel.so called abort, likely because code of Rust panicked (src/lib.rs:42:9).")
        #expect(verdict.diagnosis.confidence == "likely")
        facts.panicPlace?.module = "/opt/app/other.so"
        #expect(Diagnostician.diagnose(facts).reason == "The program called abort.")
    }
}
