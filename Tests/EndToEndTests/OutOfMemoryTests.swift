// A real kill by the kernel's OOM killer, in a cgroup with a real limit.

import Foundation
import GraniteReport
import TestSupport
import Testing

@Suite(
    .serialized, .enabled(if: TestPython.has("flask"), "Flask is missing: run Tests/run"),
    .enabled(if: TestCgroup.isAllowed, "no memory cgroup may be made here"), .timeLimit(.minutes(2)))
struct OutOfMemoryTests {
    @Test func aWorkerBeyondItsCgroupsLimitIsReportedWithTheRequestTheLimitAndHowItGrew() async throws {
        let limit = 320 << 20
        let cgroup = try #require(TestCgroup(limitBytes: limit))
        let server = try await GraniteServer(
            "app:app", in: GraniteServer.flaskSample, launcher: cgroup.launcher)
        #expect(await server.get("/crash/oom?megabytes=2048") == nil)
        let exited = try await server.event("worker.exited")
        #expect(exited.string("signal") == "SIGKILL")
        #expect(exited.int("oom_kills") == 1)
        #expect(exited.int("memory_limit_bytes") == limit)
        let respawned = try await server.event("worker.respawned")
        #expect(respawned.string("crash.kind") == "oom_kill")
        #expect(respawned.string("crash.category") == "out_of_memory")
        #expect(respawned.string("crash.request.target") == "/crash/oom?megabytes=2048")
        #expect(respawned.string("crash.memory")?.hasSuffix(", limit 320 MiB") == true, "\(respawned.line)")
        let report = try server.report(try #require(respawned.string("crash.id")))
        let memory = try #require(report.process?.memory)
        #expect(memory.cgroup?.limitBytes == UInt64(limit))
        #expect((memory.cgroup?.limitHits ?? 0) > 0)
        // Where the kernel's log may be read it names the very process, and the diagnosis is certain.
        let isNamed = memory.oomKill?.pid == report.process?.pid
        #expect(isNamed == (memory.kernelLogRead == true))
        #expect(report.diagnosis?.confidence == (isNamed ? "certain" : "likely"))
        let rss = try #require(memory.trend?.map(\.rssBytes))
        #expect(rss.count > 2)
        #expect((rss.last ?? 0) > (rss.first ?? 0) + 64 << 20)
        #expect(await server.get("/")?.status == 200)
        // The kill of one is not held against the next.
        #expect(await server.get("/crash/kill") == nil)
        let killed = try await server.event("worker.respawned", count: 2)
        #expect(killed.string("crash.category") == "killed_by_process")
        #expect(await server.stop() == .code(0))
    }
}
