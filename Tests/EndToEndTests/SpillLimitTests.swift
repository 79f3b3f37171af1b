// The limit on bodies in temporary files, from the command line to the answer.

import Foundation
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestPython.has("flask"), "Flask is missing: run Tests/run"), .timeLimit(.minutes(1)))
struct SpillLimitTests {
    @Test(arguments: [("0", "503"), ("8M", "200")])
    func aLongBodyIsRefusedBeyondTheLimit(limit: String, status: String) async throws {
        let server = try await GraniteServer(
            "app:app", in: GraniteServer.flaskSample, arguments: ["--limit-spilled-bodies", limit])
        let body = server.folder.file("body")
        try Data(count: 4 << 20).write(to: body)
        let answer = try await Command.run(
            URL(fileURLWithPath: "/usr/bin/curl"),
            [
                "-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@\(body.path)",
                "http://127.0.0.1:\(server.port)/echo",
            ])
        #expect(answer.output == status)
        #expect(await server.stop() == .code(0))
    }
}
