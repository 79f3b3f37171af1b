import Foundation
import GraniteLogging
import Testing

struct AccessLineTests {
    func line(_ format: LogFormat, target: [UInt8], remote: String = "127.0.0.1") -> String {
        var formatter = AccessLineFormatter(format: format, slot: 2, pid: 4711)
        var buffer: [UInt8] = []
        Array("7f3c9a".utf8).withUnsafeBytes { id in
            Array("GET".utf8).withUnsafeBytes { method in
                target.withUnsafeBytes { target in
                    Array(remote.utf8).withUnsafeBytes { remote in
                        formatter.append(
                            AccessLine(
                                requestID: id, method: method, target: target, remote: remote, status: 200,
                                bodyBytes: 5,
                                queuedNanoseconds: 40_999, applicationNanoseconds: 2_113_000),
                            time: 1_795_527_612_345_678_901, to: &buffer)
                    }
                }
            }
        }
        return String(decoding: buffer, as: UTF8.self)
    }

    @Test func aResponseIsOneJSONObject() {
        #expect(
            line(.json, target: Array("/a?x=1".utf8)) == """
                {"time":"2026-11-24T13:40:12.345Z","level":"info","event":"access","worker":{"slot":2,"pid":4711},"request_id":"7f3c9a",\
                "remote":"127.0.0.1","method":"GET","target":"/a?x=1","status":200,"bytes":5,"queue_ms":0.040,"app_ms":2.113}

                """)
    }

    @Test func aResponseIsOneReadableLine() {
        #expect(
            line(.text, target: Array("/a?x=1".utf8))
                == "2026-11-24T13:40:12.345Z info    127.0.0.1 \"GET /a?x=1\" 200 5 B in 2.113 ms (queued 0.040 ms) · worker 2 request 7f3c9a\n"
        )
        #expect(line(.text, target: [0x2F], remote: "").contains("info    - \"GET /\" 200"))
    }

    @Test func hostileTargetsStayOneLineInBothFormats() throws {
        let target: [UInt8] = [0x2F, 0x22, 0x5C, 0x0A, 0x1B, 0x5B, 0x32, 0x4A, 0xFF, 0x00, 0xC3, 0xA9]
        let json = line(.json, target: target)
        #expect(json.filter { $0 == "\n" }.count == 1)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        #expect(object["target"] as? String == "/\"\\\n\u{1B}[2J\u{FFFD}\u{0}é")
        #expect(line(.text, target: target).contains(#""GET /\x22\x5c\x0a\x1b[2J\xff\x00\xc3\xa9" 200"#))
    }
}
