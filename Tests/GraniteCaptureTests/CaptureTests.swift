// The Swift door, in this process, where nothing is installed.

import CGraniteCapture
import GraniteCapture
import Testing

struct CaptureTests {
    @Test(arguments: [
        ("off", BacktraceLevel.off), ("0", .off), ("OFF", .off), ("short", .short), ("1", .short), ("full", .full),
        ("Full", .full),
    ])
    func aLevelIsReadFromItsNames(_ text: String, _ level: BacktraceLevel) {
        #expect(BacktraceLevel(parsing: text) == level)
    }

    @Test(arguments: ["", "2", "yes", " full", "shor"])
    func whatIsNoLevelIsNil(_ text: String) {
        #expect(BacktraceLevel(parsing: text) == nil)
        #expect(BacktraceLevel(environmentValue: text) == .short)
    }

    @Test func withoutInstallationEveryCallIsHarmless() {
        #expect(Capture.now(.dump, subject: "nothing", message: "nobody listens") == false)
        Capture.setReady()
        Capture.setHeartbeat(monotonicNanoseconds: 1)
        Capture.breadcrumb("test", "nowhere")
        Capture.beginRequest(
            slot: 0, tid: 1, id: 1, method: .init(start: nil, count: 0), target: .init(start: nil, count: 0),
            startedNanoseconds: 0)
        Capture.endRequest(slot: 0)
        Capture.endRequest(slot: 0, status: 200, durationNanoseconds: 1)
        Capture.noteMemory(monotonicNanoseconds: 1, residentBytes: 1)
        #expect(granite_capture_page() == nil)
    }

    @Test func framePointersStopAtTheThreadsFirstFrame() {
        var frames = [UInt64](repeating: 0, count: 256)
        let count = granite_capture_frame_pointers(&frames, 256)
        #expect(count >= 1 && count < 256)
        #expect(frames.prefix(Int(count)).allSatisfy { $0 != 0 })
    }
}
