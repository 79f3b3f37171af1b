import Foundation
import GraniteLogging
import Logging
import TestSupport
import Testing

struct LineLogHandlerTests {
    struct Sample: StructuredEvent {
        var name: String { "sample.happened" }
        var level: Logger.Level { .error }
        var fields: [FieldValue.Field] {
            [
                .init("b", .integer(-7)), .init("a", .number(38.12345)), .init("infinite", .number(.infinity)),
                .init("list", .array([.string("x\n"), .boolean(true), .object([.init("n", .number(3))])])),
            ]
        }
        var sentence: String { "it happened\u{1B}[2J" }
        var details: [String] { ["why\nforged"] }
    }

    func lines(_ format: LogFormat, _ theme: Theme = .plain, _ body: (Logger) -> Void) throws -> String {
        let directory = try TemporaryDirectory()
        let output = try LogOutput(path: directory.file("log").path)
        body(
            Logger(label: "test") { _ in
                LineLogHandler(output: output, format: format, theme: theme, clock: { 1_795_527_612_345_678_901 })
            })
        return try String(contentsOf: directory.file("log"), encoding: .utf8)
    }

    @Test func anEventIsOneObjectInOrder() throws {
        let text = try lines(.json) { EventLog(logger: $0).record(Sample()) }
        #expect(
            text == """
                {"time":"2026-11-24T13:40:12.345Z","level":"error","event":"sample.happened","b":-7,"a":38.123,"infinite":null,\
                "list":["x\\n",true,{"n":3}]}

                """)
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text.utf8)) }
    }

    @Test func anEventIsASentenceThatCannotForgeALineOrSteerATerminal() throws {
        let text = try lines(.text) { EventLog(logger: $0).record(Sample()) }
        #expect(
            text == """
                2026-11-24T13:40:12.345Z error   it happened\\u{1b}[2J
                    why\\u{a}forged

                """)
    }

    @Test func aTerminalGetsColours() throws {
        let text = try lines(.text, .color) { $0.warning("careful") }
        #expect(text == "\u{1B}[2m2026-11-24T13:40:12.345Z\u{1B}[0m \u{1B}[33mwarning careful\u{1B}[0m\n")
    }

    @Test func plainMessagesKeepTheirMetadata() throws {
        #expect(
            try lines(.json) { $0.info("hello", metadata: ["z": "1", "a": "\"2\""]) }
                == #"{"time":"2026-11-24T13:40:12.345Z","level":"info","event":"log","message":"hello","a":"\"2\"","z":"1"}"#
                + "\n")
        #expect(
            try lines(.text) { $0.info("hello", metadata: ["z": "1", "a": "2"]) }
                == "2026-11-24T13:40:12.345Z info    hello a=2 z=1\n")
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_399_000, "2100-02-28T23:59:59.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ]) func timesAreGregorian(_ milliseconds: UInt64, _ expected: String) {
        var timestamp = LogTimestamp()
        var bytes: [UInt8] = []
        timestamp.append(nanoseconds: milliseconds * 1_000_000, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test func aRotatedLogContinuesInTheNewFile() throws {
        let directory = try TemporaryDirectory()
        let output = try LogOutput(path: directory.file("log").path)
        output.write(Array("before\n".utf8))
        try FileManager.default.moveItem(at: directory.file("log"), to: directory.file("log.1"))
        output.write(Array("still the old file\n".utf8))
        let descriptor = output.descriptor
        try output.reopen()
        output.write(Array("after\n".utf8))
        #expect(output.descriptor == descriptor)
        #expect(try String(contentsOf: directory.file("log.1"), encoding: .utf8) == "before\nstill the old file\n")
        #expect(try String(contentsOf: directory.file("log"), encoding: .utf8) == "after\n")
    }

    @Test func aLogThatCannotBeOpenedIsASentence() {
        let error = #expect(throws: LoggingError.self) { try LogOutput(path: "/nonexistent/granite.log") }
        #expect(
            error?.description
                == "The log file /nonexistent/granite.log cannot be opened for appending: No such file or directory. Give another --log-file, or let this user write there."
        )
    }
}
