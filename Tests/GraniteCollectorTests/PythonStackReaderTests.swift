import Foundation
import GraniteCollector
import TestSupport
import Testing

/// Every test reads a stopped process of a real CPython and compares with what that CPython said of itself.
@Suite(.enabled(if: !PythonInstallation.all.isEmpty, "no CPython 3.9 to 3.13 found"), .timeLimit(.minutes(5)))
struct PythonStackReaderTests {
    @Test(arguments: PythonInstallation.all, [1, 20, 100])
    func framesOfAllThreadsAreThoseOfTheInterpreter(_ python: PythonInstallation, threads: Int) async throws {
        let host = try await PythonHost(python, "nest", threads: threads)
        let snapshot = try host.read()
        #expect(snapshot.problems == [])
        #expect(host.truth.threads.count == threads)
        expectEqual(snapshot, host.truth)
        // The thread that told the truth is there, too.
        #expect(
            snapshot.threads.map(\.threadID).sorted()
                == (host.truth.threads.map(\.ident) + [host.truth.teller]).sorted())
        #expect(snapshot.collecting == false)
        await host.end()
    }

    @Test(arguments: PythonInstallation.all, ["text", "coroutines", "dropped"])
    func namesCoroutinesAndDyingObjectsAreRead(_ python: PythonInstallation, scenario: String) async throws {
        let host = try await PythonHost(python, scenario, threads: 2)
        let snapshot = try host.read()
        #expect(snapshot.problems == [])
        expectEqual(snapshot, host.truth)
        await host.end()
    }

    @Test(arguments: PythonInstallation.all)
    func deepRecursionIsCutAtItsOuterEnd(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "recursion")
        let snapshot = try host.read()
        let main = try #require(snapshot.threads.first { $0.threadID == host.truth.threads[0].ident })
        #expect(main.truncated)
        #expect(main.visible.count == 4096)
        #expect(main.visible == host.truth.threads[0].expected)
        #expect(snapshot.problems == [])
        await host.end()
    }

    @Test(arguments: PythonInstallation.all)
    func aRunningCollectionIsNoticed(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "collecting")
        let snapshot = try host.read()
        #expect(snapshot.collecting == true)
        expectEqual(snapshot, host.truth)
        await host.end()
    }

    @Test(arguments: PythonInstallation.all)
    func theHolderOfTheGILIsNamed(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "gil", threads: 5)
        let snapshot = try host.read()
        #expect(snapshot.gilLocked == true)
        let holders = snapshot.threads.filter(\.holdsGIL)
        #expect(holders.map(\.threadID) == [host.truth.teller])
        #expect(snapshot.gilHolder == holders.first?.state)
        #expect(holders.first?.frames.first?.name == "gil")
        await host.end()
    }

    @Test(arguments: PythonInstallation.oneOfEach)
    func threadsOfOtherInterpretersAreReadToo(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "subinterpreter")
        let snapshot = try host.read()
        #expect(snapshot.problems == [])
        let thread = snapshot.threads.first { $0.frames.first?.name == "in_subinterpreter" }
        #expect(thread?.visible.map(\.name) == ["in_subinterpreter", "<module>"])
        #expect(thread?.visible.map(\.line) == [4, 5])
        // Up to 3.12 the other interpreter's thread names the main thread as its own.
        #expect(snapshot.thread(withID: host.truth.teller)?.frames.first?.name == "subinterpreter")
        await host.end()
    }

    @Test(arguments: PythonInstallation.oneOfEach)
    func aHundredThreadsTakeFewRoundTrips(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "nest", threads: 100)
        let snapshot = try host.read()
        // The list of threads is a chain, a round trip for each new page of it; the rest goes by levels. One by one it
        // took thousands.
        #expect(snapshot.roundTrips <= 80)
        #expect(snapshot.threads.map(\.frames.count).reduce(0, +) > 1500)
        await host.end()
    }

    @Test func unknownVersionsAreRefusedInASentence() throws {
        for version: UInt32 in [0x0308_12F0, 0x030E_00F0, 0x0400_00F0, 0x030C_00A7, 0x030D_00B1, 0] {
            let error = #expect(throws: PythonReadError.self) {
                try PythonStackReader(runtime: 0x1000_0000, versionHex: version).read(from: NoMemory())
            }
            #expect(error?.code == .unsupportedVersion)
        }
        let error = #expect(throws: PythonReadError.self) {
            try PythonStackReader(runtime: 0x1000_0000, versionHex: 0x030E_01F0).read(from: NoMemory())
        }
        #expect(error?.description == "Python frames of version 3.14.1 cannot be read; releases of 3.9 to 3.13 can.")
    }

    @Test func unreadableMemoryIsAnErrorNotACrash() {
        for versionHex: UInt32 in [0x0309_12F0, 0x030A_0DF0, 0x030B_07F0, 0x030C_01F0, 0x030D_00F0] {
            for runtime: UInt64 in [0, 8, 0x7FFF_FFFF_F000, 0x8000_0000_0000, .max, .max - 8] {
                let error = #expect(throws: PythonReadError.self) {
                    try PythonStackReader(runtime: runtime, versionHex: versionHex).read(from: NoMemory())
                }
                #expect(error?.code == .unreadable)
            }
        }
    }

    /// A row of the wrong version, or an address that is not the runtime's, must not turn into frames.
    @Test(arguments: PythonInstallation.all)
    func anotherVersionThanTheWorkersGivesNoWrongFrames(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "nest", threads: 3)
        let memory = try ProcessMemory(pid: host.pid)
        let truth = Set(host.truth.threads.flatMap(\.frames).map(\.name))
        for versionHex: UInt32 in [0x0309_12F0, 0x030A_0DF0, 0x030B_07F0, 0x030C_01F0, 0x030D_00F0]
        where versionHex >> 16 != host.truth.version >> 16 {
            let reader = PythonStackReader(runtime: host.truth.runtime, versionHex: versionHex)
            guard let snapshot = try? reader.read(from: memory) else { continue }
            let frames = snapshot.threads.filter { $0.threadID != host.truth.teller }.flatMap(\.frames)
            #expect(frames.filter { !$0.isShim && !truth.contains($0.name) } == [], "as 3.\(versionHex >> 16 & 0xFF)")
        }
        let shifted = PythonStackReader(runtime: host.truth.runtime + 64, versionHex: host.truth.version)
        #expect((try? shifted.read(from: memory))?.threads.count ?? 0 == 0)
        await host.end()
    }

    private func expectEqual(_ snapshot: PythonSnapshot, _ truth: PythonHost.Truth) {
        for thread in truth.threads {
            let read = snapshot.threads.first { $0.threadID == thread.ident }
            #expect(read?.visible == thread.expected)
            #expect(read?.truncated == false)
            if let nativeID = read?.nativeID { #expect(nativeID == UInt64(thread.native)) }
        }
    }
}

/// A process in which nothing is mapped.
struct NoMemory: RemoteMemory {
    func read(_ ranges: [MemoryRange]) -> [[UInt8]?] { ranges.map { _ in nil } }
}
