// CPython structures in made-up memory: rings, absurd counts, pages that are missing. Separate from the tests with real processes,
// because no CPython would ever look so.

import Foundation
import Testing

@testable import GraniteCollector

/// A crashed process may hold anything where Python's structures were. The reader must end, within its bounds, and not
/// trap.
@Suite(.timeLimit(.minutes(5)))
struct PythonHostileMemoryTests {
    @Test(.enabled(if: !PythonInstallation.all.isEmpty), arguments: PythonInstallation.oneOfEach)
    func damagedMemoryIsReadWithinBounds(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "nest", threads: 3)
        let recorder = Recorder(try ProcessMemory(pid: host.pid))
        let whole = try host.read(from: recorder)
        await host.end()
        let known = Set(whole.threads.flatMap(\.frames).map(\.name))
        var damagedReads = 0
        for seed in 0..<500 {
            let memory = DamagedMemory(recorder.pages, seed: UInt64(seed))
            guard let snapshot = try? host.read(from: memory) else {
                damagedReads += 1
                continue
            }
            expectBounds(snapshot)
            if snapshot != whole { damagedReads += 1 }
        }
        #expect(damagedReads > 250, "the damage must reach what is read")
        #expect(try host.read(from: DamagedMemory(recorder.pages, seed: nil)) == whole)
        #expect(known.contains("stand_still"))
    }

    /// Exceptions, names and variables are followed further than frames are: the same damage must end there, too.
    @Test(
        .enabled(if: !PythonInstallation.all.isEmpty), arguments: PythonInstallation.oneOfEach, ["locals", "exception"])
    func damagedObjectsAreReadWithinBounds(_ python: PythonInstallation, scenario: String) async throws {
        let host = try await PythonHost(python, scenario)
        let name = scenario == "locals" ? "ж local" : "kind plain"
        let crashed = try #require(try host.read().threads.first { $0.name == name }).threadID
        let recorder = Recorder(try ProcessMemory(pid: host.pid))
        let whole = try host.read(from: recorder, crashed: crashed, withLocals: true)
        await host.end()
        var damagedReads = 0
        for seed in 0..<100 {
            let memory = DamagedMemory(recorder.pages, seed: UInt64(seed))
            guard let snapshot = try? host.read(from: memory, crashed: crashed, withLocals: true) else {
                damagedReads += 1
                continue
            }
            expectBounds(snapshot)
            for thread in snapshot.threads {
                #expect((thread.exception?.message ?? "").unicodeScalars.count <= 520)
                #expect((thread.name ?? "").unicodeScalars.count <= 129)
                for locals in thread.frames.compactMap(\.locals) {
                    #expect(locals.count <= PythonLocalsReader.maxVariables)
                    #expect(locals.allSatisfy { $0.value.unicodeScalars.count <= PythonValueText.maxTotal + 32 })
                }
            }
            if snapshot != whole { damagedReads += 1 }
        }
        #expect(damagedReads > 30, "the damage must reach what is read")
    }

    /// A list that claims 2^39 items, all of them itself; a dictionary as large; an int of 2^28 digits.
    @Test(arguments: PythonObjectLayout.supported)
    func containersThatContainThemselvesAndGiganticCountsAreCut(_ offsets: PythonObjectLayout) throws {
        let layout = try #require(PythonLayout.supported.first { $0.minor == offsets.minor })
        for (flag, name) in [(25, "list"), (26, "tuple"), (29, "dict"), (24, "int"), (28, "str"), (27, "bytes")] {
            let memory = MadeUpMemory()
            let (object, type, meta, text) = (
                UInt64(0x10_0000), UInt64(0x20_0000), UInt64(0x30_0000), UInt64(0x40_0000)
            )
            memory.set(type, at: object &+ UInt64(layout.objectType))
            memory.set(1 << 39, at: object &+ UInt64(layout.objectSize))
            memory.set(object, at: object &+ 24)
            memory.set(object, at: object &+ 32)
            memory.set(meta, at: type &+ UInt64(layout.objectType))
            memory.set(text, at: type &+ UInt64(layout.typeName))
            memory.set(1 << UInt64(flag), at: type &+ UInt64(offsets.typeFlags))
            memory.set(1 << 31, at: meta &+ UInt64(offsets.typeFlags))
            memory.set(text: name, at: text)
            let pages = RemotePages(memory)
            let values = PythonValueText(
                objects: PythonObjects(layout: layout, offsets: offsets, pages: pages))
            values.fetch([object])
            let told = values.text(object)
            #expect(told.unicodeScalars.count <= PythonValueText.maxTotal + 1, "\(name)")
            #expect(pages.roundTrips < 64, "\(name): \(told)")
        }
    }

    /// Each pointer, one after the other, becomes one into the structures that it was read from: circles of every kind.
    @Test(.enabled(if: !PythonInstallation.all.isEmpty), arguments: PythonInstallation.oneOfEach)
    func circlesEnd(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "nest", threads: 1)
        let recorder = Recorder(try ProcessMemory(pid: host.pid))
        let whole = try host.read(from: recorder)
        await host.end()
        let layout = try #require(PythonLayout.known(versionHex: host.truth.version))
        let pages = RemotePages(DamagedMemory(recorder.pages, seed: nil))
        // The thread list points to its own head.
        let state = try #require(whole.threads.last?.state)
        let list = DamagedMemory(recorder.pages, seed: nil)
        list.set(whole.threads[0].state, at: state &+ UInt64(layout.threadNext))
        let circular = try host.read(from: list)
        #expect(circular.threads.count == whole.threads.count)
        #expect(circular.problems.contains { $0.hasPrefix("The list of Python's threads is damaged") })
        // The interpreter list points to its own head.
        let interpreter: UInt64 = try #require(pages.integer(at: state &+ UInt64(layout.threadInterpreter)))
        let interpreters = DamagedMemory(recorder.pages, seed: nil)
        interpreters.set(interpreter, at: interpreter &+ UInt64(layout.interpreterNext))
        #expect(
            try host.read(from: interpreters).problems.contains {
                $0.hasPrefix("Python's list of interpreters is damaged")
            })
        // The innermost frame's caller is itself.
        let walk = PythonFrameWalk(threads: [thread(state)], layout: layout, pages: pages)
        #expect(walk.stacks[0].frames.count > 15)
        let frames = DamagedMemory(recorder.pages, seed: nil)
        let innermost = try #require(frames.innermostFrame(of: state, layout))
        frames.set(innermost, at: innermost &+ UInt64(layout.framePrevious))
        let circle = try host.read(from: frames)
        let last = try #require(circle.threads.last)
        #expect(last.frames.count == 1 && last.truncated)
        #expect(circle.problems == ["The Python frames of one thread run in a circle (after 1)."])
    }

    @Test(arguments: PythonLayout.supported)
    func chainsThatNeverEndAreCut(_ layout: PythonLayout) {
        let pages = RemotePages(EndlessMemory())
        let walk = PythonFrameWalk(threads: (1..<1024).map { thread($0 << 22) }, layout: layout, pages: pages)
        #expect(pages.isExhausted)
        #expect(walk.stacks.allSatisfy { $0.truncated })
        #expect(walk.stacks.map(\.frames.count).reduce(0, +) <= RemotePages.maxPages)
        #expect(walk.stacks.map(\.frames.count).reduce(0, +) > RemotePages.maxPages / 2)
        #expect(walk.problems.count <= 16)
        var reader = PythonCodeReader(layout: layout, pages: pages)
        #expect(reader.read(Set(walk.stacks.flatMap(\.frames).map(\.code))).isEmpty)
    }

    @Test func stringsThatAreNoStringsAreRefused() {
        let layout = PythonLayout.python312
        let compactASCII: UInt32 = 1 << 2 | 1 << 5 | 1 << 6
        func text(_ length: UInt64, _ state: UInt32) -> PythonText? {
            PythonText(object: 0x1000, length: length, state: state, layout: layout)
        }
        #expect(text(3, compactASCII) == PythonText(object: 0x1000, length: 3, state: compactASCII, layout: layout))
        #expect(text(3, compactASCII)?.data == 0x1000 + 40)
        #expect(text(3, compactASCII & ~(1 << 5)) == nil, "not compact: the characters lie elsewhere")
        #expect(text(3, 2 << 2 | 1 << 5 | 1 << 6) == nil, "ASCII has one byte a character")
        for kind: UInt32 in [0, 3, 5, 6, 7] { #expect(text(3, kind << 2 | 1 << 5) == nil) }
        for length: UInt64 in [.max, 1 << 63, 1 << 40] { #expect(text(length, compactASCII) == nil) }
        #expect(text(1 << 30, compactASCII)?.count == PythonText.maxBytes)
        #expect(text(1 << 30, 4 << 2 | 1 << 5)?.count == PythonText.maxBytes / 4)
    }

    @Test func charactersOfEveryWidthAreDecoded() throws {
        func decode(_ kind: UInt32, _ bytes: [UInt8]) -> String? {
            PythonText(
                object: 0x1000, length: UInt64(bytes.count) / UInt64(kind), state: kind << 2 | 1 << 5,
                layout: .python312)?
                .decode(bytes)
        }
        #expect(decode(1, [0x6E, 0xEF]) == "nï")
        #expect(decode(2, [0x44, 0x04, 0x00, 0xDC, 0x41, 0x00]) == "ф\u{FFFD}A", "a lone surrogate is no character")
        #expect(decode(4, [0x0B, 0x00, 0x02, 0x00, 0xFF, 0xFF, 0xFF, 0xFF]) == "𠀋\u{FFFD}")
        #expect(decode(2, []) == "")
    }

    private func thread(_ state: UInt64) -> PythonThreadList.Thread {
        PythonThreadList.Thread(state: state, threadID: 0, nativeID: nil, holdsGIL: false)
    }

    private func expectBounds(_ snapshot: PythonSnapshot) {
        #expect(snapshot.threads.count <= PythonThreadList.maxThreads)
        #expect(snapshot.threads.allSatisfy { $0.frames.count <= PythonFrameWalk.maxFramesPerThread })
        #expect(snapshot.threads.map(\.frames.count).reduce(0, +) <= PythonFrameWalk.maxFrames)
        #expect(
            snapshot.threads.flatMap(\.frames).allSatisfy {
                $0.name.unicodeScalars.count <= 4097 && $0.file.unicodeScalars.count <= 4097
            })
        #expect(snapshot.roundTrips <= RemotePages.maxPages)
        #expect(snapshot.problems.count <= 16 + 3 + 3 * 64)
    }
}

/// Remembers every page that was read.
private final class Recorder: RemoteMemory {
    private let memory: any RemoteMemory
    private(set) var pages: [UInt64: [UInt8]] = [:]

    init(_ memory: any RemoteMemory) { self.memory = memory }

    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        let answers = memory.read(ranges)
        for (range, answer) in zip(ranges, answers) { pages[range.address] = answer }
        return answers
    }
}

/// Recorded pages, some of them damaged: words flipped, zeroed, made huge, or swapped for pointers from elsewhere.
private final class DamagedMemory: RemoteMemory {
    private var pages: [UInt64: [UInt8]]

    init(_ pages: [UInt64: [UInt8]], seed: UInt64?) {
        self.pages = pages
        guard let seed else { return }
        var generator = SeededGenerator(seed: seed)
        let addresses = pages.keys.sorted()
        if seed % 7 == 0 { self.pages[addresses.randomElement(using: &generator)!] = nil }
        // From a few words in all to one in thirty.
        let count = addresses.count * [1, 2, 4, 16][Int(seed % 4)]
        for _ in 0..<count {
            let address =
                addresses.randomElement(using: &generator)! + UInt64.random(in: 0..<512, using: &generator) * 8
            let old = word(at: address) ?? 0
            let new: UInt64 =
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: old ^ 1 << UInt64.random(in: 0..<64, using: &generator)
                case 1: 0
                case 2: .max
                case 3: UInt64.random(in: 0..<1 << 20, using: &generator)
                case 4: old &+ UInt64.random(in: 0..<64, using: &generator) &* 8
                default:
                    word(
                        at: addresses.randomElement(using: &generator)! + UInt64.random(in: 0..<512, using: &generator)
                            * 8) ?? 1
                }
            set(new, at: address)
        }
    }

    func set(_ value: UInt64, at address: UInt64) {
        let page = address & ~4095
        guard pages[page] != nil else { return }
        withUnsafeBytes(of: value) {
            for (index, byte) in $0.enumerated() { pages[page]![Int(address - page) + index] = byte }
        }
    }

    func innermostFrame(of state: UInt64, _ layout: PythonLayout) -> UInt64? {
        let pages = RemotePages(self)
        if let offset = layout.threadFrame { return pages.integer(at: state &+ UInt64(offset)) }
        guard let offset = layout.threadCFrame, let cframe: UInt64 = pages.integer(at: state &+ UInt64(offset)) else {
            return nil
        }
        return pages.integer(at: cframe &+ UInt64(layout.cframeFrame ?? 0))
    }

    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        ranges.map { range in
            let page = range.address & ~4095
            guard let bytes = pages[page], range.length >= 0, Int(range.address - page) + range.length <= 4096 else {
                return nil
            }
            return Array(bytes[Int(range.address - page)..<Int(range.address - page) + range.length])
        }
    }
}

/// Zeros but for what was set.
private final class MadeUpMemory: RemoteMemory {
    private var words: [UInt64: UInt64] = [:]

    func set(_ value: UInt64, at address: UInt64) { words[address & ~7] = value }

    func set(text: String, at address: UInt64) {
        var value: UInt64 = 0
        for (index, byte) in text.utf8.prefix(7).enumerated() { value |= UInt64(byte) << UInt64(index * 8) }
        set(value, at: address)
    }

    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        ranges.map { range in
            (0..<range.length / 8).flatMap { index in
                withUnsafeBytes(of: words[range.address + UInt64(index * 8)] ?? 0) { Array($0) }
            }
        }
    }
}

/// Every page is mapped, and each word leads to the next page: a chain of frames without an end, a page each.
private final class EndlessMemory: RemoteMemory {
    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] {
        ranges.map { range in
            // 4 MiB for each thread, all below 4 GiB: a frame's flags lie in the upper half of a pointer and must stay
            // small.
            let next = range.address & ~0x3F_FFFF | (range.address + 4096) & 0x3F_FFFF
            return [[UInt8]](repeating: withUnsafeBytes(of: next) { Array($0) }, count: range.length / 8).flatMap { $0 }
        }
    }
}
