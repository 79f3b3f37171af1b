// What the faulting instruction, the pointer's bits and the runtime's texts add to a diagnosis, from made-up facts.

import Foundation
import GraniteReport
import TestSupport
import Testing

@testable import GraniteCollector

#if arch(x86_64)
@Suite struct PointerDiagnosisTests {
    private static let maps = """
        00400000-00401000 r-xp 00000000 fe:00 11 /opt/app/extension.so
        20000000-20001000 rw-p 00000000 00:00 0 [heap]
        7ffc00000000-7ffc00100000 rw-p 00000000 00:00 0 [stack]
        """

    /// A page fault, or with trap 13 a general protection fault, of `code`.
    private static func facts(
        _ code: [UInt8], address: UInt64 = 0, trap: UInt32 = 14, error: UInt64 = 4, registers: [Int: UInt64] = [:]
    ) -> CrashFacts {
        var facts = CrashFacts(kind: .signal, pid: 100)
        var signal = SignalInfo()
        signal.number = Int(SIGSEGV)
        signal.name = "SIGSEGV"
        signal.code = trap == 13 ? 0x80 : 1
        signal.address = Address(address)
        facts.signal = signal
        facts.trapNumber = trap
        facts.errorCode = error
        facts.code = code
        facts.registers = Array(repeating: 0x7ffc_0000_0800, count: Registers.count)
        facts.registers[Registers.programCounter] = 0x400800
        for (index, value) in registers { facts.registers[index] = value }
        facts.map = MemoryMap(text: Array(maps.utf8))
        var frame = Frame(kind: .native)
        frame.symbol = "read_field"
        facts.frames = [frame]
        return facts
    }

    /// mov 0x18(%rdi),%rax: of three registers that are 0 the instruction used one.
    @Test func onlyTheRegisterThatTheInstructionUsedIsNamed() {
        let verdict = Diagnostician.diagnose(
            Self.facts([0x48, 0x8b, 0x47, 0x18], address: 0x18, registers: [0: 0, 1: 0, 5: 0]))
        #expect(verdict.diagnosis.category == "null_dereference")
        #expect(verdict.diagnosis.evidence.last == "mov 0x18(%rdi),%rax with rdi = 0x0: rdi is the null pointer")
    }

    /// mov (%rax,%rcx,8),%rdx with a large index: the address is far from 0, and the pointer is null all the same.
    @Test func elementOfANullPointerIsANullDereference() {
        let verdict = Diagnostician.diagnose(
            Self.facts([0x48, 0x8b, 0x14, 0xc8], address: 0x80_0000, registers: [0: 0, 2: 0x10_0000]))
        #expect(verdict.diagnosis.category == "null_dereference")
        #expect(verdict.diagnosis.confidence == "likely")
        #expect(verdict.reason == "read_field read address 0x800000: element 1048576 of a null pointer.")
    }

    /// The instruction's address is not the one that the kernel reports: it says nothing of this fault.
    @Test func instructionThatDoesNotFitTheFaultIsNotBelieved() {
        let facts = Self.facts([0x48, 0x8b, 0x47, 0x18], address: 0x5000_0000, registers: [5: 0x20000000])
        #expect(FaultingOperand.find(facts) == nil)
        #expect(!Diagnostician.diagnose(facts).diagnosis.evidence.contains { $0.contains("mov") })
    }

    @Test func protectionFaultOfAnUnknownInstructionIsNoCertainty() {
        let verdict = Diagnostician.diagnose(
            Self.facts([0x06], trap: 13, registers: [0: 0xdead_0000_0000_0000, 1: 0xbeef_0000_0000_0000]))
        #expect(verdict.diagnosis.category == "non_canonical_address")
        #expect(verdict.diagnosis.confidence == "possible")
    }

    @Test(arguments: [
        (UInt64(0x6f6c_6c65_48), "Hello" as String?), (0x6574_203a_6570_7954, "Type: te"),
        (0x4141_4141_4141_4141, "AAAAAAAA"),
        (0x4141_4141_41, nil), (0x7f3f_df12_e000, nil), (0, nil), (0x55e8_7050_0730, nil),
    ]) func textInAPointerIsSpelled(_ pointer: UInt64, _ text: String?) {
        #expect(PointerHints.spelled(pointer) == text)
    }

    @Test func addressBehindAMappingSaysHowFar() {
        let map = MemoryMap(text: Array(Self.maps.utf8))
        #expect(
            PointerHints.neighbourhood(0x2000_1010, map)
                == "0x20001010 is 16 bytes past the end of the heap (0x20000000–0x20001000, rw-)")
        #expect(
            PointerHints.neighbourhood(0x1fff_ffff, map)
                == "0x1fffffff is 1 byte before the start of the heap (0x20000000–0x20001000, rw-)")
        #expect(PointerHints.neighbourhood(0x5000_0000, map) == nil)
    }
}
#endif

@Suite struct RuntimeTextTests {
    @Test func messageOfARustPanicEndsWhereItsBacktraceBegins() throws {
        let text = try #require(
            RuntimeText.last(in: [
                "thread 'tokio-1' (17) panicked at src/pool.rs:88:9:", "assertion `left == right` failed", "  left: 1",
                "stack backtrace:", "   0: rust_begin_unwind", "fatal runtime error: failed to initiate panic, error 5",
            ]))
        #expect(text.source == .rust)
        #expect(text.location == "src/pool.rs:88:9")
        #expect(text.message == "assertion `left == right` failed   left: 1")
    }

    @Test func whatOfACppExceptionIsTheNextLine() throws {
        let text = try #require(
            RuntimeText.last(in: [
                "terminate called after throwing an instance of 'std::out_of_range'", "  what():  vector::at",
            ]))
        #expect(text.type == "std::out_of_range")
        #expect(text.message == "vector::at")
    }

    @Test func placeOfASwiftFailureIsNotPartOfItsMessage() throws {
        let text = try #require(RuntimeText.swift("App/Model.swift:27: Fatal error: no rows"))
        #expect(text.location == "App/Model.swift:27")
        #expect(text.message == "Fatal error: no rows")
        #expect(RuntimeText.swift("the user wrote: Fatal error: no rows") == nil)
    }

    @Test func expressionAndPlaceOfAnAssertionAreFound() throws {
        let text = try #require(RuntimeText.assertion("app: ./src/a.c:72: int f(int): Assertion `x > 0' failed."))
        #expect(text.message == "x > 0")
        #expect(text.location == "./src/a.c:72")
    }

    @Test(arguments: [
        ["thread '"], ["thread 'panicked at "], ["thread 'a' panicked at '"], ["thread 'a' panicked at ''"],
        ["Assertion `' failed"],
        ["' failed Assertion `"], ["terminate called after throwing an instance of '"],
        ["libc++abi: terminating due to uncaught exception of type "],
        ["Fatal error"], [": Fatal error: "], [""], [], [String(repeating: "thread 'x' panicked at ", count: 10_000)],
        Array(repeating: "Assertion `", count: 10_000),
    ]) func hostileLogNeverTraps(_ lines: [String]) {
        let text = RuntimeText.last(in: lines)
        #expect((text?.message.count ?? 0) <= RuntimeText.maxCharacters)
    }
}

@Suite struct CategoryTests {
    /// A category that nothing ends in would be a promise that nobody keeps. Hangs have tests of their own.
    @Test func everyCategoryHasACrashThatEndsInIt() {
        var covered = Set(MatrixEntry.all.map(\.category))
        let others: [(CrashReport.Kind, String?)] = [
            (.oomKill, nil), (.startup, nil), (.dump, nil), (.threadException, "ValueError"),
            (.unraisable, "ValueError"),
            (.panic, nil),
        ]
        for (kind, message) in others {
            var facts = CrashFacts(kind: kind, pid: 1)
            facts.dropSite = message.map { text in
                var site = DropSite()
                site.message = text
                return site
            }
            covered.insert(Diagnostician.diagnose(facts).diagnosis.category)
        }
        var killed = CrashFacts(kind: .exit, pid: 1)
        killed.killedBecause = "it did not stop in 30 s"
        covered.insert(Diagnostician.diagnose(killed).diagnosis.category)
        #expect(Set(Diagnosis.Category.allCases.map(\.rawValue)).subtracting(covered).subtracting(["hang"]) == [])
    }
}
