// What the guardian writes into a page of how a process's memory goes is what a report reads there.

import Glibc
import GraniteCrashChannel
import Testing

struct MemorySampleTests {
    @Test func samplesThatAreWrittenAreRead() throws {
        let descriptor = try CrashPage.make(crashID: "A", slot: 0, generation: 0, level: 2)
        defer { close(descriptor) }
        let page = try CrashPage(descriptor: descriptor)
        page.noteMemory(slot: 1, nanoseconds: 20, residentBytes: 2 << 20)
        page.noteMemory(slot: 0, nanoseconds: 10, residentBytes: 1 << 20)
        #expect(try page.trend().map(\.timeNanoseconds) == [10, 20])
        #expect(try page.trend().map(\.residentBytes) == [1 << 20, 2 << 20])
        page.noteMemory(slot: 0, nanoseconds: 30, residentBytes: 3 << 20)
        #expect(try page.trend().map(\.residentBytes) == [2 << 20, 3 << 20])
        page.noteMemory(slot: -1, nanoseconds: 40, residentBytes: 1)
        page.noteMemory(slot: 64, nanoseconds: 40, residentBytes: 1)
        #expect(try page.trend().count == 2)
    }
}
