// The readers of the crash page, in the test's own process, where a trap is seen at once: pages cut at every byte, random maps.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import TestSupport
import Testing

@testable import GraniteCollector

@Suite(.timeLimit(.minutes(60))) struct PageFuzzTests {
    /// At every byte of the records, and at every 64th (1 with Tests/fuzz) of what only repeats: requests, breadcrumbs, threads, memory.
    @Test func pageCutAtEveryByteIsReadAsFarAsItGoes() async throws {
        try await FakeSupervisor.onThread {
            let sample = try SamplePage.makeAll(["threads-20"])[0]
            let file = granite_memfd_create("cut")
            defer { close(file) }
            #expect(sample.bytes.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, 0) } == sample.bytes.count)
            let page = try CrashPage(descriptor: file)
            let capture = Int(GRANITE_OFFSET_CAPTURE.rawValue)
            let dense = [
                0..<640, capture - 600..<Int(GRANITE_OFFSET_THREADS.rawValue) + 700,
                Int(GRANITE_OFFSET_SEGMENTS.rawValue) - 400..<Int(GRANITE_OFFSET_SEGMENTS.rawValue) + 400,
                sample.maps.lowerBound - 200..<sample.maps.lowerBound + 400,
            ]
            let stride = max(1, 9600 / Fuzzing.rounds(50))
            for length in (0...sample.bytes.count).reversed() {
                guard length % stride == 0 || dense.contains(where: { $0.contains(length) }) else { continue }
                #expect(ftruncate(file, off_t(length)) == 0)
                let evidence = EvidenceReader(socket: -1, isFull: true, opensFiles: false).read(page, withCapture: true)
                if length < capture { #expect(!evidence.errors.isEmpty, "length \(length)") }
                if length < 128 { #expect((try? CrashPage(descriptor: file)) == nil, "length \(length)") }
            }
        }
    }

    @Test func anyTextIsAMap() async throws {
        try await FakeSupervisor.onThread {
            let sound = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "/proc/self/maps")))
            var random = Fuzzing.numbers(104)
            for _ in 0..<Fuzzing.rounds(400) {
                var text = sound
                switch random.below(3) {
                case 0: text = Array(text.prefix(random.below(text.count)))
                case 1: text = (0..<random.below(3000)).map { _ in Array(" 0af-rwxp:/\n\u{7f}".utf8)[random.below(13)] }
                default: break
                }
                for _ in 0..<random.below(64) where !text.isEmpty { text[random.below(text.count)] = random.byte() }
                let map = MemoryMap(text: text)
                // What the binary search relies on.
                for (left, right) in zip(map.mappings, map.mappings.dropFirst()) { #expect(left.end <= right.start) }
                for mapping in map.mappings {
                    #expect(mapping.start < mapping.end)
                    #expect(map.mapping(containing: mapping.start) == mapping)
                }
                let address = random.hostileWord()
                _ = (
                    map.mapping(containing: address), map.mapping(above: address), map.mapping(below: address),
                    map.modules()
                )
            }
        }
    }
}
