// Reading reports: what this version writes comes back, and what it cannot read never hides the rest.

import Foundation
import GraniteReport
import TestSupport
import Testing

struct DecodingTests {
    @Test func everyFieldComesBackAsItWasWritten() throws {
        let report = FullReport.make()
        #expect(try CrashReport.decode(report.encoded()) == report)
    }

    @Test func jsonIsOneLineWithSortedKeysAndPlainSlashes() {
        var report = CrashReport(id: "01JDF3T8Q2M4V6X8ZB0D2F4H6K")
        report.reason = "a/b\nc"
        #expect(
            String(decoding: report.encoded(), as: UTF8.self)
                == #"{"id":"01JDF3T8Q2M4V6X8ZB0D2F4H6K","reason":"a/b\nc","schema":"granite.crash/1"}"#)
    }

    @Test func aNewerReportKeepsWhatIsKnownOfIt() throws {
        let report = try CrashReport.decode(
            Array(
                #"""
                {"id":"01JDF3T8Q2M4V6X8ZB0D2F4H6K","schema":"granite.crash/2","kind":"gpu_fault","reason":"The GPU is gone.",
                 "colour":{"deep":[1,2]},"time":1234,"diagnosis":{"category":"gpu"},"process":"a string","worker":{"slot":"two","generation":3},
                 "threads":[7,{"tid":1,"frames":[{"kind":"gpu","symbol":"f","trust":"psychic","address":"nonsense"},null,{"symbol":"g"}]},{"name":"no tid"}],
                 "fingerprint":{"hash":"ab"},"capture":{"durations_us":[{"name":"x"},{"name":"y","us":2}]}}
                """#.utf8))
        #expect(report.kind == nil)
        #expect(report.reason == "The GPU is gone.")
        #expect(report.time == nil)
        #expect(report.process == nil)
        #expect(report.worker?.generation == 3)
        #expect(report.diagnosis?.category == "gpu")
        #expect(report.threads?.count == 2)
        #expect(report.threads?.first?.frames?.map(\.symbol) == ["f", "g"])
        #expect(report.threads?.last?.name == "no tid")
        #expect(report.fingerprint?.hash == "ab")
        #expect(report.capture?.durations == [CaptureInfo.Step(name: "y", microseconds: 2)])
    }

    @Test(arguments: ["", "{", "[]", "7", "null", "\"text\"", "{\"id\":", String(repeating: "[", count: 100_000)])
    func whatIsNoObjectIsRefused(text: String) {
        #expect(throws: (any Error).self) { try CrashReport.decode(Array(text.utf8)) }
    }

    @Test func aReportCutAnywhereIsRefusedAndNeverTraps() {
        let bytes = FullReport.make().encoded()
        for length in bytes.indices {
            #expect(throws: (any Error).self) { try CrashReport.decode(Array(bytes[..<length])) }
        }
    }

    @Test func aNumberThatJSONCannotWriteCostsOnlyTheRest() throws {
        var report = FullReport.make()
        report.worker?.uptimeSeconds = .nan
        let read = try CrashReport.decode(report.encoded())
        #expect(read.id == report.id)
        #expect(read.reason == report.reason)
        #expect(read.capture?.incomplete == true)
    }
}
