// The memory map, from kernel text and from nonsense.

import Foundation
import Testing

@testable import GraniteCollector

@Suite struct MemoryMapTests {
    private static let text = """
        55d0c0a00000-55d0c0a01000 r--p 00000000 fe:00 131113                     /usr/bin/app name
        55d0c0a01000-55d0c0a02000 r-xp 00001000 fe:00 131113                     /usr/bin/app name
        55d0c0b00000-55d0c0b21000 rw-p 00000000 00:00 0                          [heap]
        7f0000000000-7f0000001000 r--p 00000000 fe:00 5                          /usr/lib/locale/locale-archive
        7f0000100000-7f0000101000 r--p 00000000 fe:00 7                          /opt/old.so (deleted)
        7f0000101000-7f0000103000 r-xp 00001000 fe:00 7                          /opt/old.so (deleted)
        7f0000103000-7f0000104000 rw-p 00000000 00:00 0
        7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
        7ffd00100000-7ffd00102000 r-xp 00000000 00:00 0                          [vdso]
        """

    @Test func modulesAreTheFilesThatHoldCode() {
        let modules = MemoryMap(text: Array(Self.text.utf8)).modules()
        #expect(modules.map(\.path) == ["/usr/bin/app name", "/opt/old.so", "[vdso]"])
        #expect(modules.map(\.isDeleted) == [false, true, false])
        #expect(modules[1].start == 0x7f00_0010_0000 && modules[1].end == 0x7f00_0010_3000)
        #expect(ModuleTable(modules).module(containing: 0x7f00_0010_2fff)?.path == "/opt/old.so")
        #expect(ModuleTable(modules).module(containing: 0x7f00_0010_3000) == nil)
    }

    @Test func addressesFindTheirMappingAndTheirNeighbours() {
        let map = MemoryMap(text: Array(Self.text.utf8))
        #expect(map.mapping(containing: 0x7ffd_0000_0000)?.path == "[stack]")
        #expect(map.mapping(containing: 0x7ffd_0002_1000) == nil)
        #expect(map.mapping(above: 0x7ffc_ffff_fff8)?.path == "[stack]")
        #expect(map.mapping(below: 0x7ffc_ffff_fff8)?.start == 0x7f00_0010_3000)
        #expect(map.mapping(containing: 0) == nil)
        #expect(map.mapping(above: .max) == nil)
    }

    @Test(arguments: [
        "", "\n\n", "zz-yy r--p 0 0:0 0", "ffffffffffffffffffff-0 r", "10-10 rw-p 0 00:00 0", "20-10 rw-p 0 00:00 0 x",
        "1000-2000", "-",
        "1000-2000 rwxp 99999999999999999999999 00:00 1 /a",
    ]) func nonsenseGivesNoMapping(_ text: String) {
        #expect(MemoryMap(text: Array(text.utf8)).mappings.isEmpty)
    }

    @Test func overlappingAndUnsortedLinesAreDropped() {
        let map = MemoryMap(
            text: Array(
                "2000-3000 r--p 0 00:00 0\n1000-2500 r--p 0 00:00 0\n2fff-4000 r--p 0 00:00 0\n4000-5000 r--p 0 00:00 0"
                    .utf8))
        #expect(map.mappings.map(\.start) == [0x2000, 0x4000])
    }
}
