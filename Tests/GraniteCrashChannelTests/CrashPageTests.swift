// Reading crash pages: what was made, and what a hostile process left.

import CGraniteCapture
import CLinux
import Glibc
import GraniteCrashChannel
import GraniteReport
import Testing

/// A page that the test writes as a worker would.
private final class WrittenPage {
    let descriptor: Int32
    let page: CrashPage

    init() throws {
        descriptor = try CrashPage.make(crashID: "01JDF3T8Q2", slot: 2, generation: 7, level: 2)
        page = try CrashPage(descriptor: descriptor)
    }

    deinit { close(descriptor) }

    func write<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
        withUnsafeBytes(of: value) { #expect(pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) == $0.count) }
    }

    func writeCapture(_ change: (inout granite_capture) -> Void) {
        var capture = granite_capture()
        change(&capture)
        write(capture, at: Int(GRANITE_OFFSET_CAPTURE.rawValue))
    }

    func writeSegment(_ index: Int, address: UInt64, offset: UInt64, length: UInt32, kind: UInt32 = 1) {
        write(
            granite_segment(address: address, offset: offset, length: length, kind: kind),
            at: Int(GRANITE_OFFSET_SEGMENTS.rawValue) + index * MemoryLayout<granite_segment>.stride)
    }

    /// Reads all there is. The point is that it returns.
    func readEverything() throws {
        _ = try page.status()
        _ = try page.capture()
        _ = try page.threads()
        _ = try page.requests()
        _ = try page.breadcrumbs()
        _ = try page.trend()
        _ = try page.endedRequests()
        _ = try page.occasions()
        _ = try page.thrown()
        _ = try page.maps()
        let snapshot = try page.snapshot()
        for segment in snapshot.segments.prefix(64) {
            _ = snapshot.memory(at: segment.address, atMost: 64)
            _ = snapshot.word(at: segment.address &- 4)
        }
    }
}

private let snapshotStart = UInt64(GRANITE_SNAPSHOT_OFFSET)

struct CrashPageTests {
    @Test func aNewPageTellsWhatItWasMadeWith() throws {
        let status = try WrittenPage().page.status()
        #expect(status.crashID == "01JDF3T8Q2")
        #expect(status.slot == 2)
        #expect(status.generation == 7)
        #expect(status.level == 2)
        #expect(status.pid == 0)
        #expect(!status.isReady)
        #expect(status.pythonRuntime == nil)
        #expect(try WrittenPage().page.capture().stage == .idle)
    }

    @Test func samplesOfMemoryComeInTheOrderOfTheirTimesWithoutTheOneBeingWritten() throws {
        let written = try WrittenPage()
        for (slot, time) in [(0, 30), (1, 0), (2, 10), (63, 20)] {
            written.write(
                granite_trend_sample(
                    time_ns: UInt64(time), rss_bytes: UInt64(time) * 100, requests_served: 1, python_objects: 0),
                at: Int(GRANITE_OFFSET_TREND.rawValue) + slot * MemoryLayout<granite_trend_sample>.stride)
        }
        #expect(try written.page.trend().map(\.residentBytes) == [1000, 2000, 3000])
    }

    @Test func theLastAnsweredRequestsComeInOrderAlsoWhenTheRingHasTurned() throws {
        let written = try WrittenPage()
        let capacity = UInt32(GRANITE_MAX_ENDED)
        for number in UInt32(0)..<(capacity + 2) {
            var ended = granite_ended_request()
            ended.sequence = number * 2 + 2
            ended.status = 200 + number
            withUnsafeMutableBytes(of: &ended.target) { $0.copyBytes(from: [UInt8](repeating: 0x61, count: 80)) }
            written.write(
                ended,
                at: Int(GRANITE_OFFSET_ENDED.rawValue)
                    + Int(number % capacity) * MemoryLayout<granite_ended_request>.stride)
        }
        written.write(capacity + 2, at: Int(GRANITE_OFFSET_ENDED_COUNT.rawValue))
        let requests = try written.page.endedRequests()
        #expect(requests.map(\.status) == (2..<(capacity + 2)).map { 200 + $0 })
        #expect(requests.first?.target == String(repeating: "a", count: 80))
        // The last one was being written when the worker died.
        written.write(
            (capacity + 1) * 2 + 1,
            at: Int(GRANITE_OFFSET_ENDED.rawValue) + MemoryLayout<granite_ended_request>.stride)
        #expect(try written.page.endedRequests().count == Int(capacity) - 1)
        // Whole, but of the turn before.
        written.write(
            UInt32(4), at: Int(GRANITE_OFFSET_ENDED.rawValue) + MemoryLayout<granite_ended_request>.stride)
        #expect(try written.page.endedRequests().count == Int(capacity) - 1)
    }

    @Test func aNewPageCannotBeCut() throws {
        let written = try WrittenPage()
        #expect(ftruncate(written.descriptor, 4096) == -1)
        #expect(errno == EPERM)
    }

    @Test func theHeadHasTheLayoutOfTheHeader() {
        #expect(MemoryLayout<CrashPageHead>.size == Int(GRANITE_OFFSET_REQUESTS.rawValue))
        #expect(
            MemoryLayout<CrashPageHead>.offset(of: \.crashID) == MemoryLayout<granite_crash_page>.offset(of: \.crash_id)
        )
        #expect(MemoryLayout<CrashPageHead>.offset(of: \.slot) == MemoryLayout<granite_crash_page>.offset(of: \.slot))
        #expect(MemoryLayout<CrashPageHead>.offset(of: \.level) == MemoryLayout<granite_crash_page>.offset(of: \.level))
        #expect(MemoryLayout<CrashPageHead>.offset(of: \.ready) == MemoryLayout<granite_crash_page>.offset(of: \.ready))
        #expect(
            MemoryLayout<CrashPageHead>.offset(of: \.heartbeatNanoseconds)
                == MemoryLayout<granite_crash_page>.offset(of: \.heartbeat_ns))
        #expect(
            MemoryLayout<CrashPageHead>.offset(of: \.pythonRuntime)
                == MemoryLayout<granite_crash_page>.offset(of: \.python_runtime))
        #expect(
            MemoryLayout<CrashPageHead>.offset(of: \.breadcrumbCount)
                == MemoryLayout<granite_crash_page>.offset(of: \.breadcrumb_count))
    }

    @Test func memoryIsReadFromSegments() throws {
        let written = try WrittenPage()
        written.writeCapture { $0.segment_count = 2 }
        written.write(UInt64(0x1122_3344_5566_7788), at: Int(snapshotStart))
        written.write(UInt64(0xaabb_ccdd_eeff_0011), at: Int(snapshotStart) + 64)
        written.writeSegment(0, address: 0x7fff_0000, offset: snapshotStart, length: 16)
        written.writeSegment(1, address: 0x1000, offset: snapshotStart + 64, length: 8)
        let snapshot = try written.page.snapshot()
        #expect(snapshot.word(at: 0x7fff_0000) == 0x1122_3344_5566_7788)
        #expect(snapshot.word(at: 0x1000) == 0xaabb_ccdd_eeff_0011)
        #expect(snapshot.word(at: 0x1001) == nil, "it would end behind the segment")
        #expect(snapshot.memory(at: 0x1006, atMost: 100)?.count == 2)
        #expect(snapshot.memory(at: 0x0fff, length: 1) == nil)
        #expect(snapshot.memory(at: 0x1008, length: 1) == nil)
    }

    @Test func aSegmentInsideAnotherDoesNotHideIt() throws {
        let written = try WrittenPage()
        written.writeCapture { $0.segment_count = 2 }
        written.writeSegment(0, address: 0x1000, offset: snapshotStart, length: 4096)
        written.writeSegment(1, address: 0x1100, offset: snapshotStart + 8192, length: 16, kind: 3)
        #expect(try written.page.snapshot().memory(at: 0x1108, length: 100) != nil)
    }

    @Test func segmentsThatPointElsewhereAreDropped() throws {
        let written = try WrittenPage()
        let end = snapshotStart + UInt64(GRANITE_SNAPSHOT_CAPACITY)
        let hostile: [(UInt64, UInt64, UInt32)] = [
            (0x1000, 0, 16), (0x1000, snapshotStart - 8, 16), (0x1000, end - 8, 16), (0x1000, UInt64.max - 4, 16),
            (UInt64.max - 4, snapshotStart, 16), (0x1000, snapshotStart, 0), (0x1000, snapshotStart, UInt32.max),
        ]
        written.writeCapture { $0.segment_count = UInt32(hostile.count) }
        for (index, (address, offset, length)) in hostile.enumerated() {
            written.writeSegment(index, address: address, offset: offset, length: length)
        }
        #expect(try written.page.snapshot().segments.isEmpty)
    }

    @Test func countsBeyondTheArraysAreCut() throws {
        let written = try WrittenPage()
        written.writeCapture {
            $0.stage = UInt32.max
            $0.kind = UInt32.max
            $0.thread_count = UInt32.max
            $0.parked_count = UInt32.max
            $0.segment_count = UInt32.max
            $0.handler_frame_count = UInt32.max
            $0.creation_frame_count = UInt32.max
            $0.maps_offset = snapshotStart
            $0.maps_length = UInt64.max
        }
        let capture = try written.page.capture()
        #expect(capture.stage == .finished)
        #expect(capture.kind == .none)
        #expect(capture.handlerFrames.count == Int(GRANITE_MAX_HANDLER_FRAMES))
        #expect(capture.creationFrames.count == Int(GRANITE_MAX_CREATION_FRAMES))
        #expect(try written.page.threads().count == Int(GRANITE_MAX_THREADS))
        #expect(try written.page.maps().count == Int(GRANITE_MAPS_CAPACITY))
        #expect(try written.page.snapshot().segments.isEmpty)
    }

    @Test func textWithoutAnEndOrWithBrokenUTF8IsRepaired() throws {
        let written = try WrittenPage()
        written.writeCapture { capture in
            withUnsafeMutableBytes(of: &capture.subject) { $0.copyBytes(from: [UInt8](repeating: 0x41, count: 256)) }
            withUnsafeMutableBytes(of: &capture.message) { $0.copyBytes(from: [0x6f, 0xff, 0x6b, 0, 0x7a]) }
        }
        #expect(try written.page.capture().subject == String(repeating: "A", count: 256))
        #expect(try written.page.capture().message == "o\u{fffd}k")
    }

    @Test func breadcrumbsComeOldestFirstAndUnfinishedOnesAreLeftOut() throws {
        let written = try WrittenPage()
        let count: UInt32 = 70
        for number in 0..<count {
            var entry = granite_breadcrumb()
            entry.sequence = number == 68 ? number * 2 + 1 : number * 2 + 2
            entry.time_ns = UInt64(number)
            let index = Int(number) % Int(GRANITE_MAX_BREADCRUMBS)
            written.write(
                entry, at: Int(GRANITE_OFFSET_BREADCRUMBS.rawValue) + index * MemoryLayout<granite_breadcrumb>.stride)
        }
        written.write(count, at: try #require(MemoryLayout<CrashPageHead>.offset(of: \.breadcrumbCount)))
        #expect(try written.page.breadcrumbs().map(\.timeNanoseconds) == (6..<70).filter { $0 != 68 })
    }

    @Test func aRequestThatWasBeingWrittenIsMarked() throws {
        let written = try WrittenPage()
        var request = granite_request()
        request.sequence = 7
        request.tid = 4711
        written.write(request, at: Int(GRANITE_OFFSET_REQUESTS.rawValue) + 5 * MemoryLayout<granite_request>.stride)
        #expect(try written.page.requests().map(\.isComplete) == [false])
        #expect(try written.page.requests().map(\.tid) == [4711])
    }

    @Test func anotherVersionAndOtherFilesAreRefused() throws {
        let written = try WrittenPage()
        written.write(UInt32(99), at: 8)
        #expect(throws: CrashPageError(.version(99), while: "opening the crash page")) {
            try CrashPage(descriptor: written.descriptor)
        }
        written.write(UInt64(0), at: 0)
        #expect(throws: CrashPageError(.notAPage, while: "opening the crash page")) {
            try CrashPage(descriptor: written.descriptor)
        }
    }

    @Test(arguments: [0, 1, 64, 127, 128, 4096, Int(GRANITE_OFFSET_CAPTURE.rawValue) + 10, 1 << 20, (1 << 20) + 100])
    func aTruncatedFileIsAnError(_ size: Int) throws {
        let written = try WrittenPage()
        written.writeCapture {
            $0.segment_count = 1
            $0.thread_count = 1
        }
        written.writeSegment(0, address: 0x1000, offset: snapshotStart, length: 4096)
        var bytes = [UInt8](repeating: 0, count: size)
        #expect(pread(written.descriptor, &bytes, size, 0) == size)
        let file = granite_memfd_create("truncated")
        defer { close(file) }
        #expect(pwrite(file, bytes, size, 0) == size)
        #expect(throws: CrashPageError.self) {
            let page = try CrashPage(descriptor: file)
            _ = try page.threads()
            _ = try page.snapshot()
        }
    }

    @Test func whatIsCountedComesBackTheMostFrequentFirst() throws {
        let written = try WrittenPage()
        let size = MemoryLayout<granite_occasion>.stride
        for (index, count) in [3, 20_000, 0].enumerated() {
            var occasion = granite_occasion()
            occasion.fingerprint = UInt64(index + 1)
            occasion.kind = GRANITE_KIND_UNRAISABLE.rawValue
            occasion.count = UInt32(count)
            withUnsafeMutableBytes(of: &occasion.subject) { $0.copyBytes(from: "<Connection>".utf8) }
            written.write(occasion, at: Int(GRANITE_OFFSET_OCCASIONS.rawValue) + index * size)
        }
        var halfWritten = granite_occasion()
        halfWritten.fingerprint = 9
        halfWritten.count = 1
        halfWritten.sequence = 1
        written.write(halfWritten, at: Int(GRANITE_OFFSET_OCCASIONS.rawValue) + 63 * size)
        let occasions = try written.page.occasions()
        #expect(occasions.map(\.count) == [20_000, 3])
        #expect(occasions.map(\.subject) == ["<Connection>", "<Connection>"])
        #expect(occasions.first?.kind == .unraisable)
    }

    @Test func whatWasThrownComesBackOldestFirst() throws {
        let written = try WrittenPage()
        for (index, time) in [UInt64(30), 10, 20].enumerated() {
            var entry = granite_throw()
            entry.tid = 7
            entry.time_ns = time
            entry.language = GRANITE_THROW_CPLUSPLUS.rawValue
            entry.frame_count = index == 0 ? 4_000_000_000 : 1
            entry.sequence = index == 2 ? 1 : 0
            withUnsafeMutableBytes(of: &entry.type) { $0.copyBytes(from: "St13runtime_error".utf8) }
            written.write(
                entry, at: Int(GRANITE_OFFSET_THROWS.rawValue) + index * MemoryLayout<granite_throw>.stride)
        }
        let thrown = try written.page.thrown()
        #expect(thrown.map(\.timeNanoseconds) == [10, 30])
        #expect(thrown.map(\.frames.count) == [1, 32])
        #expect(thrown.first?.language == "C++")
        #expect(thrown.first?.type == "St13runtime_error")
    }

    @Test func detailsAreLinesOfKeyAndValue() {
        let details = CaptureDetails("type=app.Cursor\nreferrer=3 frame\nnonsense\nreferrer=1 dict=x\nempty=\ncut=of")
        #expect(details["type"] == "app.Cursor")
        #expect(details.all("referrer") == ["3 frame", "1 dict=x"])
        #expect(details["empty"] == nil)
        #expect(details["cut"] == nil)
        #expect(CaptureDetails(String(repeating: "k=v\n", count: 10_000)).all("k").count == CaptureDetails.maxLines)
    }

    @Test(arguments: 0..<40)
    func randomBytesNeverTrapTheReader(_ seed: UInt64) throws {
        let written = try WrittenPage()
        var state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        // Half of the rounds are noise alone, half are noise with plausible counts, which reads deeper.
        let size = Int(GRANITE_PAGE_HEADER_SIZE.rawValue) - 128
        let noise = (0..<size / 8).map { _ in next() }
        #expect(noise.withUnsafeBytes { pwrite(written.descriptor, $0.baseAddress, $0.count, 128) } == noise.count * 8)
        if seed % 2 == 0 {
            written.writeCapture {
                $0.stage = UInt32(next() % 9)
                $0.thread_count = UInt32(next() % 2000)
                $0.segment_count = UInt32(next() % 4000)
                $0.maps_offset = snapshotStart + next() % (64 << 20)
                $0.maps_length = next() % (64 << 20)
            }
            for index in 0..<64 {
                written.writeSegment(
                    index, address: next() >> (next() % 40), offset: snapshotStart + next() % (40 << 20),
                    length: UInt32(truncatingIfNeeded: next() % (1 << 22)), kind: UInt32(next() % 6))
            }
        }
        try written.readEverything()
    }
}
