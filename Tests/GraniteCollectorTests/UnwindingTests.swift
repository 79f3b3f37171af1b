// The parts of a walk that need no process: call sites, expressions, folding of deep stacks, chains of contexts.

import GraniteReport
import Testing

@testable import GraniteCollector

struct UnwindingTests {
    #if arch(x86_64)
    @Test(
        arguments: [
            ([0x90, 0x90, 0x90, 0xe8, 0x10, 0, 0, 0], CallSite.direct(0x2010)),
            ([0x90, 0x90, 0x90, 0xe8, 0xf0, 0xff, 0xff, 0xff], .direct(0x1ff0)),
            ([0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd7], .indirect),
            ([0x90, 0x90, 0xff, 0x15, 1, 2, 3, 4], .indirect),
            ([0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x50, 0x18], .indirect),
            ([0x90, 0x90, 0x90, 0x90, 0xff, 0x54, 0x24, 0x08], .indirect),
        ] as [([UInt8], CallSite)]) func callsAreRecognized(_ code: [UInt8], _ expected: CallSite)
    {
        #expect(CallSite(code: code, returnAddress: 0x2000) == expected)
    }

    @Test(
        arguments: [
            [0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90], [0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0], [],
            [0xff],
        ] as [[UInt8]]) func otherInstructionsAreNoCalls(_ code: [UInt8])
    {
        #expect(CallSite(code: code, returnAddress: 0x2000) == nil)
    }

    @Test func expressionOfThePLTTellsBothHalvesOfAStub() throws {
        // rsp + 8 + (((rip & 15) >= 11) << 3), as ld writes it for .plt.
        typealias Operation = CallFrameExpression.Operation
        let expression = CallFrameExpression(
            [(0x77, 8), (0x80, 0), (0x3f, 0), (0x1a, 0), (0x3b, 0), (0x2a, 0), (0x33, 0), (0x24, 0), (0x22, 0)].map {
                Operation(code: $0.0, number: $0.1, number2: 0)
            })
        var registers = try #require(RegisterSet(Array(repeating: 0, count: Registers.count)))
        registers.set(Registers.stackPointer, 0x1000)
        registers.set(Registers.programCounter, 0x4006)
        #expect(expression.evaluate(registers, cfa: nil, word: { _ in nil }) == 0x1008)
        registers.set(Registers.programCounter, 0x400b)
        #expect(expression.evaluate(registers, cfa: nil, word: { _ in nil }) == 0x1010)
    }
    #endif

    @Test(arguments: UInt8.min...UInt8.max) func expressionOfOneForeignOperationNeverTraps(_ code: UInt8) throws {
        let registers = try #require(RegisterSet(Array(repeating: .max, count: Registers.count)))
        for number in [0, 1, 63, .max] as [UInt64] {
            let once = CallFrameExpression.Operation(code: code, number: number, number2: .max)
            let literal = CallFrameExpression.Operation(code: 0x0e, number: number, number2: 0)
            _ = CallFrameExpression([once]).evaluate(registers, cfa: .max, word: { $0 })
            _ = CallFrameExpression([literal, literal, literal, once]).evaluate(registers, cfa: nil, word: { _ in nil })
        }
    }

    @Test func lostRegisterIsNotUsed() throws {
        var registers = try #require(RegisterSet(Array(repeating: 7, count: Registers.count)))
        registers.forget(Registers.framePointer)
        #expect(registers[Registers.framePointer] == nil)
        #expect(registers[-1] == nil && registers[64] == nil)
        #expect(RegisterSet([1, 2, 3]) == nil)
    }

    @Test func aQuarterMillionFramesFoldIntoOneTurnWithTheirNumber() {
        let addresses = [9, 8] + (0..<260_000).map { UInt64(100 + $0 % 3) } + [50, 51]
        let cycle = FrameFolding.longestCycle(addresses)
        #expect(cycle == .init(start: 2, length: 3, repeats: 86_665))
        #expect(cycle.map { FrameFolding.removing($0, from: addresses) } == [9, 8, 100, 101, 102, 100, 101, 50, 51])
    }

    @Test func contextsAreFollowedToTheirEndAndNoFurther() {
        let map = MemoryMap(text: Array("1000-9000 rw-p 00000000 00:00 0\na000-b000 r-xp 00000000 00:00 0\n".utf8))
        // 0x1000 → 0x2000 → 0x1000: a ring; 0x3000 resumes in data.
        let memory = Words([0x1000: 0x2000, 0x1008: 0xa010, 0x2000: 0x1000, 0x2008: 0xa020, 0x3000: 0, 0x3008: 0x4000])
        let chains = AsyncChains.read([[0x1000, 0x3000, 1, .max]], map: map, memory: memory)
        #expect(chains == [0x1000: [0xa010, 0xa020]])
    }
}

#if arch(x86_64)
/// Walks in made-up memory.
struct HostileWalkTests {
    private static func thread(_ stackPointer: UInt64, pc: UInt64, isCrashed: Bool) -> RawThread {
        var registers = [UInt64](repeating: 0, count: Registers.count)
        registers[Registers.stackPointer] = stackPointer
        registers[Registers.programCounter] = pc
        return RawThread(
            tid: 1, name: "", isCrashed: isCrashed, hasRegisters: true, fsBase: 0, registers: registers)
    }

    /// A signal frame that held itself was walked 1,048,576 times.
    @Test(arguments: [true, false]) func signalFrameThatInterruptsItselfEndsTheWalk(_ isCrashed: Bool) {
        let map = MemoryMap(text: Array("10000-11000 r-xp 00000000 00:00 0\n20000-30000 rw-p 00000000 00:00 0\n".utf8))
        // ucontext_t of signal(7): the saved rsp and rip, wherever it looks for them, are where it already is.
        var bytes = [UInt8](repeating: 0, count: 0x10000)
        func put(_ word: UInt64, _ offset: Int) {
            for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> UInt64(8 * index)) }
        }
        // gregs begin at 40; rsp is the 16th, rip the 17th (sys/ucontext.h).
        put(0x20000, 40 + 15 * 8)
        put(0x10000, 40 + 16 * 8)
        let memory = WalkedMemory(
            snapshot: nil,
            live: Pieces(pieces: [0x10000: SignalTrampoline.code, 0x20000: bytes]), map: map)
        let unwinder = Unwinder(modules: [], images: [], map: map, vdso: nil, memory: memory)
        let walked = unwinder.unwind(Self.thread(0x20000, pc: 0x10000, isCrashed: isCrashed))
        #expect(walked.end == .lost)
        #expect(walked.frames.count == Unwinder.maxStackChanges + 1)
    }

    /// `count - 8` wrapped for a mapping that begins in a page's last bytes, and a word was loaded from three.
    @Test func wordOfAMappingThatBeginsAtAPagesLastBytesIsReadAcrossThem() {
        let map = MemoryMap(text: Array("20ffd-30000 rw-p 00000000 00:00 0\n".utf8))
        let memory = WalkedMemory(
            snapshot: nil, live: Pieces(pieces: [0x20ffd: Array(1...8)]), map: map)
        #expect(memory.word(0x20ffd) == 0x0807_0605_0403_0201)
    }
}

/// Memory of which only these bytes can be read.
private struct Pieces: RemoteMemory {
    let pieces: [UInt64: [UInt8]]
    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        ranges.map { range in
            for (start, bytes) in pieces where range.address >= start {
                let offset = Int(clamping: range.address - start)
                if range.length > 0, offset <= bytes.count, bytes.count - offset >= range.length {
                    return Array(bytes[offset..<offset + range.length])
                }
            }
            return nil
        }
    }
}
#endif

private struct Words: RemoteMemory {
    let words: [UInt64: UInt64]
    init(_ words: [UInt64: UInt64]) { self.words = words }
    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        ranges.map { range in
            guard range.length == 16, let first = words[range.address], let second = words[range.address &+ 8] else {
                return nil
            }
            return [first, second].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        }
    }
}
