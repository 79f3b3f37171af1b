// Placing files in memory: this test process's own mappings are the truth.

import Foundation
import GraniteSymbols
import TestSupport
import Testing

@Suite struct ELFImageTests {
    /// One line of /proc/self/maps.
    private struct Mapping {
        var start: UInt64
        var end: UInt64
        var permissions: String
        var offset: UInt64
        var path: String

        static func all() throws -> [Mapping] {
            // Not by String(contentsOfFile:), which stops early in files that say they are empty.
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/maps"))
            let text = String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self)
            return text.split(separator: "\n").compactMap { line in
                let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
                let range = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
                guard fields.count == 6, range.count == 2, let offset = UInt64(fields[2], radix: 16) else { return nil }
                return Mapping(start: range[0], end: range[1], permissions: String(fields[1]), offset: offset, path: fields[5].trimmingCharacters(in: .whitespaces))
            }
        }
    }

    @Test func computesTheBiasOfALibraryFromItsFirstOrItsExecutableMapping() throws {
        let libraries = Dictionary(grouping: try Mapping.all().filter { $0.path.contains(".so") }, by: \.path)
        #expect(libraries.count > 3)
        for (path, mappings) in libraries {
            let image = try #require(ELFImage(path: path))
            let code = try #require(mappings.first { $0.permissions.contains("x") })
            let bias = try #require(image.bias(mappedAt: code.start, fileOffset: code.offset, executable: true))
            // A library's first segment has address 0. Other mappings of the file may be readers' (another test's symbolizer).
            #expect(mappings.contains { $0.start == bias && $0.offset == 0 }, "\(path)")
            #expect(image.bias(mappedAt: bias, fileOffset: 0) == bias, "\(path)")
        }
    }

    @Test func findsAFunctionOfThisProcess() throws {
        // The loader's answer, dladdr(3), is the truth.
        let address = UInt64(UInt(bitPattern: dlsym(nil, "strtol")))
        let mappings = try Mapping.all()
        let hit = try #require(mappings.first { $0.start <= address && address < $0.end })
        let image = try #require(ELFImage(path: hit.path))
        let bias = try #require(image.bias(mappedAt: hit.start, fileOffset: hit.offset, executable: true))
        let module = ModuleImage(path: hit.path, start: bias, end: hit.end, bias: bias, buildID: ELFImage.buildID(path: hit.path))
        let frames = Symbolizer(options: .testing).symbolize(address: address, isReturnAddress: false, in: module)
        #expect(frames.last?.symbol == "strtol")
        #expect(frames.last?.language == "C")
    }

    @Test func readsTheVdsoFromMemory() throws {
        let vdso = try #require(try Mapping.all().first { $0.path == "[vdso]" })
        let count = Int(vdso.end - vdso.start)
        let pointer = try #require(UnsafeRawPointer(bitPattern: UInt(vdso.start)))
        let bytes = [UInt8](UnsafeRawBufferPointer(start: pointer, count: count))
        let image = try #require(ELFImage(bytes: bytes))
        #expect(image.bias(mappedAt: vdso.start, fileOffset: 0) == vdso.start)
        let module = ModuleImage(
            path: "[vdso]", start: vdso.start, end: vdso.end, bias: vdso.start, buildID: ELFImage.buildID(bytes: bytes), memory: bytes)
        let symbolizer = Symbolizer()
        let names = (0..<count).flatMap { symbolizer.symbolize(address: vdso.start + UInt64($0), isReturnAddress: false, in: module) }
        #expect(names.contains { $0.symbol == "clock_gettime" })
        #expect(symbolizer.debugStatus(of: module) == "none")
        #expect(symbolizer.problems == [])
    }

    @Test func readsTheBuildIDThatTheLinkerWrote() async throws {
        let source = "int main(void) { return 0; }"
        let fixture = try await Fixture.compile(source, named: "id.c", by: "clang", ["-Wl,--build-id=0x0102030405060708"])
        #expect(ELFImage.buildID(path: fixture.url.path) == [1, 2, 3, 4, 5, 6, 7, 8])
        let without = try await Fixture.compile(source, named: "id.c", by: "clang", ["-Wl,--build-id=none"])
        #expect(ELFImage.buildID(path: without.url.path) == nil)
    }

    @Test(arguments: [
        [], [0], [4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0],  // its content is missing
        [4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0, 1, 2, 3, 4],
        [0xff, 0xff, 0xff, 0xff, 4, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0, 1, 2, 3, 4],
        [4, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0],  // an empty build-id
        [4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 0x58, 0x4e, 0x55, 0, 1, 2, 3, 4],  // another owner's
    ] as [[UInt8]])
    func findsNoBuildIDInDamagedNotes(_ notes: [UInt8]) {
        #expect(ELFImage.buildID(notes: notes) == nil)
    }

    @Test func findsTheBuildIDAfterAnotherNote() {
        let other: [UInt8] = [4, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0x47, 0x4e, 0x55, 0, 9, 9, 9, 9, 9, 0, 0, 0]
        let id: [UInt8] = [4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0, 1, 2, 3]
        #expect(ELFImage.buildID(notes: other + id) == [1, 2, 3])
    }
}
