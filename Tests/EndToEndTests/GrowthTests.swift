// Workers that go on although something is wrong: memory that grows over its limit, and mistakes that are counted.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: TestPython.path != nil, "Python is missing: run Tests/run"), .timeLimit(.minutes(3)))
struct GrowthTests {
    @Test func aWorkerOverMaxRSSIsReplacedWithAReportOfWhatGrew() async throws {
        let server = try await GraniteServer(
            "grows:app", in: GraniteServer.fixtures, arguments: ["--max-rss", "100M"])
        let first = try #require(server.events("worker.ready").first?.int("worker.pid"))
        let isRecycled = await Command.eventually(limit: 60) {
            if server.events("worker.recycled").isEmpty { _ = await server.get("/keep") }
            return !server.events("worker.recycled").isEmpty
        }
        #expect(isRecycled)
        let recycled = try await server.event("worker.recycled")
        #expect(recycled.int("worker.pid") == first)
        #expect(recycled.int("limit_bytes") == 100 << 20)
        let exited = try await server.event("worker.exited")
        #expect(exited.int("worker.pid") == first)
        #expect(exited["expected"] as? Bool == true)
        // The successor was ready before it was told to stop.
        let names = GraniteServer.events(in: server.log).map(\.name)
        let ready = try #require(names.lastIndex(of: "worker.ready"))
        #expect(ready < (names.firstIndex(of: "worker.recycled") ?? 0))

        let reported = try await server.event("crash.reported")
        #expect(reported.string("crash.kind") == "growth")
        let report = try server.report(try #require(reported.string("crash.id")))
        #expect(report.diagnosis?.category == "growth")
        #expect(report.growth?.cause == "max_rss", "\(report.reason ?? "")")
        let types = report.growth?.types?.map(\.type) ?? []
        #expect(types.contains("grows.Boom"), "\(types)")
        #expect(types.contains("frame"), "\(types)")
        let (before, now) = (report.growth?.rssBytesBefore ?? 0, report.growth?.rssBytesNow ?? 0)
        #expect(before > 0 && now > 100 << 20 && now > before)
        #expect(report.process?.memory?.trend?.contains { $0.pythonObjects ?? 0 > 1000 } == true)
        let serving = try #require(await server.get("/"))
        #expect(Int(serving.body) != first)
        #expect(await server.stop() == .code(0))
    }

    static let compiler = ["/usr/bin/gcc", "/usr/bin/cc", "/usr/bin/clang"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// An extension finds the functions of granite_bind.h in the worker that loads it; what it does wrong is reported once, then counted.
    @Test(.enabled(if: compiler != nil, "no C compiler is installed"))
    func anExtensionsMistakesAreReportedOnceThenCounted() async throws {
        let folder = try TemporaryDirectory()
        let source = try folder.write(
            """
            #include "granite_bind.h"
            static struct granite_bound bound;
            void granite_test_begin(void) { granite_bind(&bound, "the extension's handle"); }
            int granite_test_check(int times) {
                int good = 0;
                for (int i = 0; i < times; i++) good += granite_check(&bound);
                return good;
            }
            """, to: "mix.c")
        let library = folder.file("mix.so").path
        let built = try await Command.run(
            URL(fileURLWithPath: try #require(Self.compiler)),
            [
                "-shared", "-fPIC", "-O1", "-fno-omit-frame-pointer", "-I",
                BuildProducts.checkout.appendingPathComponent("Sources/CGraniteCapture/include").path, "-o", library,
                source.path,
            ])
        try #require(built.ending == .code(0), "\(built.errors)")
        let server = try await GraniteServer(
            "grows:app", in: GraniteServer.fixtures, environment: ["GROWS_LIBRARY": library])
        #expect(await server.get("/mix")?.status == 200)
        let reported = try await server.event("crash.reported")
        #expect(reported.string("crash.kind") == "drop_site")
        let report = try server.report(try #require(reported.string("crash.id")))
        #expect(report.dropSite?.subject == "the extension's handle")
        #expect(report.dropSite?.hook == "c")
        #expect(report.diagnosis?.category == "thread_affinity")
        let counted = try await server.event("crash.counted")
        #expect(counted.int("count") == 49)
        #expect(counted.int("total") == 50)
        #expect(counted.string("subject") == "the extension's handle")
        #expect(await server.stop() == .code(0))
        #expect(server.events("worker.exited").first?.int("survived") == 50)
    }
}
