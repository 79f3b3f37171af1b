// The rules by themselves, from made-up facts.

import Foundation
import GraniteReport
import Testing

@testable import GraniteCollector

@Suite struct DiagnosisTests {
    private static let maps = """
        00400000-00401000 r--p 00000000 fe:00 11 /opt/app/extension.so
        00401000-00402000 r-xp 00001000 fe:00 11 /opt/app/extension.so
        10000000-10001000 ---p 00000000 00:00 0
        10001000-10801000 rw-p 00000000 00:00 0
        20000000-20001000 rw-p 00000000 00:00 0 [heap]
        """

    private static func facts(
        code: Int, address: UInt64, trap: UInt32 = 14, error: UInt64 = 4, pc: UInt64 = 0x401800,
        stackPointer: UInt64 = 0x10500000,
        number: Int = 11
    ) -> CrashFacts {
        var facts = CrashFacts(kind: .signal, pid: 100)
        var signal = SignalInfo()
        signal.number = number
        signal.name = SignalName.name(number)
        signal.code = code
        signal.codeName = SignalName.codeName(signal: number, code: code)
        signal.address = Address(address)
        facts.signal = signal
        facts.trapNumber = trap
        facts.errorCode = error
        facts.registers = Array(repeating: 0x1234_5678, count: Registers.count)
        facts.registers[Registers.programCounter] = pc
        facts.registers[Registers.stackPointer] = stackPointer
        facts.map = MemoryMap(text: Array(maps.utf8))
        facts.frames = [frame("__strlen_evex", module: "/lib/x86_64-linux-gnu/libc.so.6")]
        facts.threadName = "python-1"
        return facts
    }

    private static func frame(_ symbol: String, module: String = "/opt/app/extension.so") -> Frame {
        var frame = Frame(kind: .native)
        frame.symbol = symbol
        frame.module = module
        return frame
    }

    private static func python(_ symbol: String, _ file: String, _ line: Int) -> Frame {
        var frame = Frame(kind: .python)
        frame.symbol = symbol
        frame.file = file
        frame.line = line
        return frame
    }

    @Test func nullPointerFromCtypesNamesThePythonCall() {
        var facts = Self.facts(code: 1, address: 0)
        facts.frames += [
            Self.frame("PyBytes_FromStringAndSize", module: "/usr/lib/libpython3.11.so.1.0"),
            Self.frame("ffi_call_unix64", module: "/usr/lib/libffi.so.8"),
            Self.python("string_at", "/usr/lib/python3.11/ctypes/__init__.py", 519),
            Self.python("native_crash", "/srv/app.py", 14),
        ]
        let verdict = Diagnostician.diagnose(facts)
        #expect(
            verdict.reason
                == "strlen read address 0x0: a null pointer that Python passed to ctypes.string_at in native_crash (app.py:14)."
        )
        #expect(verdict.diagnosis.category == "null_dereference")
    }

    @Test func fieldOfANullPointerHasItsOffset() {
        let verdict = Diagnostician.diagnose(Self.facts(code: 1, address: 0x18, error: 6))
        #expect(verdict.reason == "strlen wrote to address 0x18: offset 0x18 from a null pointer.")
    }

    @Test func generalProtectionFaultNamesTheRegister() {
        var facts = Self.facts(code: 0x80, address: 0, trap: 13, error: 0)
        facts.registers[5] = 0xdead_beef_dead_beef
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == "non_canonical_address")
        #expect(verdict.reason.contains("rdi = 0xdeadbeefdeadbeef"))
    }

    @Test func writeToReadOnlyMemoryNamesTheFile() {
        let verdict = Diagnostician.diagnose(Self.facts(code: 2, address: 0x400100, error: 7))
        #expect(verdict.diagnosis.category == "write_to_read_only")
        #expect(verdict.reason == "strlen wrote to address 0x400100, which is read-only (/opt/app/extension.so).")
    }

    /// The bits of a page fault's error code were read from other exceptions' too.
    @Test func errorCodeOfAnotherTrapSaysNothingOfTheAccess() {
        let verdict = Diagnostician.diagnose(Self.facts(code: 2, address: 0x400100, trap: 13, error: 7))
        #expect(verdict.diagnosis.category == "invalid_address")
        #expect(verdict.reason.hasPrefix("strlen touched address 0x400100"), "\(verdict.reason)")
    }

    @Test func jumpIntoTheHeapIsExecutionOfData() {
        let verdict = Diagnostician.diagnose(Self.facts(code: 2, address: 0x20000010, error: 0x15, pc: 0x20000010))
        #expect(verdict.diagnosis.category == "execute_non_executable")
        #expect(verdict.reason.contains("0x20000010"))
    }

    @Test func unmappedAddressIsNotCalledNull() {
        let verdict = Diagnostician.diagnose(Self.facts(code: 1, address: 0x7000_0000))
        #expect(verdict.diagnosis.category == "invalid_address")
        #expect(verdict.reason == "strlen read address 0x70000000, where nothing is mapped.")
    }

    @Test func faultInTheGuardPageOfItsOwnStackIsAnOverflow() {
        let verdict = Diagnostician.diagnose(
            Self.facts(code: 2, address: 0x10000ff8, error: 6, stackPointer: 0x10001000))
        #expect(verdict.diagnosis.category == "stack_overflow")
        #expect(verdict.diagnosis.confidence == "certain")
        #expect(verdict.reason == "The stack of thread \"python-1\" (8 MiB) is used up in strlen.")
    }

    @Test func faultInAnotherThreadsGuardPageIsNoOverflow() {
        let verdict = Diagnostician.diagnose(
            Self.facts(code: 2, address: 0x10000ff8, error: 6, stackPointer: 0x20000800))
        #expect(verdict.diagnosis.category != "stack_overflow")
        let deep = Diagnostician.diagnose(Self.facts(code: 2, address: 0x10000ff8, error: 6, stackPointer: 0x10700000))
        #expect(deep.diagnosis.category != "stack_overflow")
    }

    @Test func pythonRecursionIsNamedByItsPythonFunctions() {
        var facts = Self.facts(code: 2, address: 0x10000ff8, error: 6, stackPointer: 0x10001000)
        facts.frames = [Self.python("walk", "/srv/tree.py", 9), Self.frame("_PyEval_EvalFrameDefault")]
        facts.folded = .init(start: 0, length: 2, repeats: 99, atLeast: true)
        #expect(
            Diagnostician.diagnose(facts).reason
                == "Runaway recursion used up the stack of thread \"python-1\" (8 MiB): walk (tree.py:9) calls itself, at least 100 turns."
        )
    }

    @Test(arguments: [
        (
            ["Fatal Python error: _PyMem_DebugFree: bad ID"], "abort", "Fatal Python error: _PyMem_DebugFree: bad ID",
            nil as String?
        ),
        (["free(): invalid pointer"], "heap_corruption", "free(): invalid pointer", "malloc_printerr"),
        (
            ["thread 'main' panicked at src/lib.rs:10:5:", "boom"], "abort",
            "fail_hard panicked (lib.rs:10:5): boom.", "__rustc::rust_begin_unwind"
        ),
        (
            ["thread '<unnamed>' panicked at 'boom', src/lib.rs:10:5"], "abort",
            "fail_hard panicked (lib.rs:10:5): boom.", "std::panicking::begin_panic_handler"
        ),
        (
            ["terminate called after throwing an instance of 'std::bad_alloc'"], "abort", "std::bad_alloc",
            "std::terminate()"
        ),
        (["unrelated"], "abort", "fail_hard called abort", nil),
    ]) func abortTakesItsMessageFromTheLog(_ log: [String], _ category: String, _ text: String, _ machinery: String?) {
        var facts = Self.facts(code: -6, address: 0, trap: 0, error: 0, number: 6)
        facts.frames = [
            Self.frame("__pthread_kill_implementation"), Self.frame("raise"), Self.frame("abort"),
        ]
        facts.frames += (machinery.map { [Self.frame($0)] } ?? []) + [Self.frame("fail_hard")]
        facts.logTail = log
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == category)
        #expect(verdict.diagnosis.confidence == "certain")
        #expect(verdict.reason.contains(text), "\(verdict.reason)")
    }

    /// A line of the log alone made "certain" of what a C library's abort() had nothing to do with.
    @Test(arguments: [
        "ValueError: invalid pointer", "free(): invalid pointer", "thread 'worker' panicked at 'boom', src/lib.rs:10:5",
        "terminate called after throwing an instance of 'std::bad_alloc'",
    ]) func textInTheLogIsNotBelievedWithoutItsRuntimeOnTheStack(_ line: String) {
        var facts = Self.facts(code: -6, address: 0, trap: 0, error: 0, number: 6)
        facts.frames = [
            Self.frame("raise"), Self.frame("abort"), Self.frame("c_library"),
            Self.frame("std::panicking::try::do_call"),
            Self.frame("__cxa_finalize"),
        ]
        facts.logTail = [line]
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason == "c_library called abort.")
        #expect(verdict.diagnosis.category == "abort")
    }

    @Test func textInTheLogIsOnlyAHintWhereFramesHaveNoNames() {
        var facts = Self.facts(code: -6, address: 0, trap: 0, error: 0, number: 6)
        var stripped = Frame(kind: .native)
        stripped.module = "/opt/app/wheel.so"
        facts.frames = [Self.frame("raise"), Self.frame("abort"), stripped]
        facts.logTail = ["thread 'worker' panicked at 'boom', src/lib.rs:10:5"]
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.confidence == "likely")
        #expect(
            verdict.reason
                == "The program called abort; the last message on stderr is: thread 'worker' panicked at 'boom', src/lib.rs:10:5."
        )
    }

    @Test(
        arguments: [
            ([0x0f, 0x0b], "swift_trap", "likely"),
            ([0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1], "illegal_instruction", "certain"),
        ] as [([UInt8], String, String)])
    func oldFatalErrorInTheLogExplainsOnlyATrap(_ code: [UInt8], _ category: String, _ confidence: String) {
        var facts = Self.facts(code: 2, address: 0x401800, trap: 6, error: 0, number: 4)
        facts.code = code
        facts.frames = [Self.frame("sum")]
        facts.logTail = ["Fatal error: no rows"]
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == category)
        #expect(verdict.diagnosis.confidence == confidence)
    }

    @Test(arguments: [
        ("/dev/shm/pool", "likely", "has no memory behind it: its file system is full, or the file was truncated."),
        ("/srv/data.bin", "certain", "that the file no longer has: it was truncated while mapped."),
    ]) func busErrorInMemoryFilesMayBeAFullFileSystem(_ path: String, _ confidence: String, _ reason: String) {
        var facts = Self.facts(code: 2, address: 0x3000_0010, number: 7)
        facts.map = MemoryMap(text: Array("30000000-30001000 rw-s 00000000 00:18 7 \(path)\n".utf8))
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.confidence == confidence)
        #expect(verdict.reason.hasSuffix(reason), "\(verdict.reason)")
    }

    /// div %ecx and idiv %ecx.
    @Test(arguments: [
        (UInt8(0xf1), UInt64(0xffff_ffff), "divided by 4294967295, and the quotient does not fit."),
        (0xf9, 0xffff_ffff, "divided by -1, and the quotient does not fit (the smallest number has no opposite)."),
        (0xf9, 2, "divided by 2, and the quotient does not fit."),
    ]) func divisorIsToldAsTheInstructionTakesIt(_ modRM: UInt8, _ divisor: UInt64, _ text: String) {
        var facts = Self.facts(code: 1, address: 0x401800, trap: 0, error: 0, number: 8)
        facts.code = [0xf7, modRM]
        facts.registers[2] = divisor
        #expect(Diagnostician.diagnose(facts).reason == "strlen \(text)")
    }

    @Test func unsendableObjectOfAWheelIsThreadAffinity() {
        var facts = CrashFacts(kind: .unraisable, pid: 1)
        var site = DropSite()
        site.message =
            "RuntimeError: _granian::wsgi::io::WSGIProtocol is unsendable, but is being dropped on another thread"
        facts.dropSite = site
        facts.threadName = "python-2"
        facts.crashedTid = 7
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == "thread_affinity")
        #expect(verdict.reason.contains("python-2") && verdict.reason.contains("WSGIProtocol was dropped"))
    }

    @Test(arguments: [
        (
            CrashReport.Kind.uncaughtException, "sys", "KeyError: 'shop' (app.py:3 in main)", "uncaught_exception",
            #"Nobody caught an exception on thread "main" (7): KeyError: 'shop' (app.py:3 in main)."#,
            #"sys.excepthook was called on thread "main" (7)"#
        ),
        (
            .panic, "threading", "PanicException: no value (app.py:3 in main)", "panic",
            #"Rust code panicked on thread "main" (7): no value (app.py:3 in main)."#,
            #"threading.excepthook was called with it on thread "main" (7)"#
        ),
        (
            .panic, "rust", "PanicException: no value", "panic", #"Rust code panicked on thread "main" (7): no value."#,
            #"the application's call ended with it on thread "main" (7)"#
        ),
    ])
    func exceptionsThatNobodyCaughtAndPanicsAreTold(
        _ kind: CrashReport.Kind, _ hook: String, _ message: String, _ category: String, _ reason: String,
        _ evidence: String
    ) {
        var facts = CrashFacts(kind: kind, pid: 1)
        var site = DropSite()
        site.hook = hook
        site.message = message
        facts.dropSite = site
        facts.threadName = "main"
        facts.crashedTid = 7
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.diagnosis.category == category)
        #expect(verdict.reason == reason)
        #expect(verdict.diagnosis.evidence == [evidence])
    }

    @Test(arguments: [(true, false, true), (false, true, false), (nil, true, true), (nil, false, false)])
    func garbageCollectionIsBelievedFromTheInterpreterThenFromItsFrames(
        _ collecting: Bool?, _ hasFrame: Bool, _ isTold: Bool
    ) {
        var facts = CrashFacts(kind: .unraisable, pid: 1)
        facts.isCollectingGarbage = collecting
        facts.frames = hasFrame ? [Self.frame("gc_collect_main")] : []
        let verdict = Diagnostician.diagnose(facts)
        #expect(verdict.reason.contains("during garbage collection") == isTold)
        let isThreads = verdict.diagnosis.evidence.contains { $0.contains("running on that thread") }
        #expect(isThreads == (isTold && hasFrame))
    }

    @Test func signalWithoutCaptureAtLevelOffSaysWhy() {
        var facts = CrashFacts(kind: .signal, pid: 1)
        facts.exit = ExitStatus(waitStatus: 11)
        facts.level = "off"
        #expect(
            Diagnostician.diagnose(facts).reason
                == "The worker died of SIGSEGV; nothing was captured, because the level is off.")
    }

    @Test func waitStatusIsReadLikeTheMacrosDo() {
        #expect(ExitStatus(waitStatus: 7 << 8).code == 7)
        #expect(ExitStatus(waitStatus: 11 | 0x80).signal == "SIGSEGV")
        #expect(ExitStatus(waitStatus: 11 | 0x80).coreDumped == true)
    }

    @Test(arguments: [(UInt64(100), "100 bytes"), (8 << 20, "8 MiB"), (1536, "1.5 KiB")])
    func sizesAreShort(_ bytes: UInt64, _ text: String) {
        #expect(Wording.size(bytes) == text)
    }
}
