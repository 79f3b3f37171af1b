// Dumps of processes that were never prepared: their stacks are right, and they never notice.

import Foundation
import GraniteCollector
import GraniteReport
import GraniteSymbols
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct AttachTests {
    @Test(arguments: PythonInstallation.oneOfEach)
    func stoppedPythonShowsTheFramesOfAllItsThreadsAndStaysStopped(_ python: PythonInstallation) async throws {
        let host = try await PythonHost(python, "nest", threads: 6)
        let report = try AttachReport(pid: host.pid).make(symbolizer: Symbolizer())
        let status = try String(contentsOfFile: "/proc/\(host.pid)/status", encoding: .utf8)
        await host.end()

        #expect(status.contains("State:\tT (stopped)"))
        #expect(status.contains("TracerPid:\t0"))
        #expect(report.kind == .dump)
        #expect(report.worker == nil)
        try CoreFileTests.expectTruth(report, host)
    }

    @Test(.enabled(if: MatrixLibraries.find("cc") != nil, "no C compiler"))
    func waitingSystemCallsAreResumed() async throws {
        let folder = try TemporaryDirectory()
        let source = BuildProducts.checkout.appendingPathComponent("Tests/CrashLibraries/waits.c").path
        let program = folder.file("waits")
        let build = try await Command.run(
            try #require(MatrixLibraries.find("cc")), ["-O1", "-pthread", "-o", program.path, source])
        try #require(build.ending == .code(0), "\(build.errors)")
        let process = try Command(program)
        try #require(await Command.eventually { process.standardOutput.contains("ready") }, "\(process.standardError)")
        for _ in 0..<5 {
            let report = try AttachReport(pid: process.pid).make(symbolizer: Symbolizer())
            #expect((report.threads?.count ?? 0) >= 12)
            #expect(report.capture?.incomplete != true, "\(report.capture?.errors ?? [])")
        }
        #expect(process.standardOutput == "ready\n", "no call came back")
        process.send(signal: SIGUSR1)
        #expect(await Command.eventually { process.standardOutput.contains("interrupted") }, "signals still interrupt")
        process.send(signal: SIGKILL)
        _ = await process.wait()
    }

    @Test(.enabled(if: MatrixLibraries.find("cc") != nil, "no C compiler"))
    func threadThatCannotStopIsListedWithoutFrames() async throws {
        let folder = try TemporaryDirectory()
        // The parent of vfork(2) waits where no signal reaches it.
        let source = try folder.write(
            """
            #define _GNU_SOURCE
            #include <pthread.h>
            #include <unistd.h>
            static void *work(void *argument) {
                if (vfork() == 0) {
                    if (write(1, "ready", 5)) sleep(100);
                    _exit(0);
                }
                return argument;
            }
            int main(void) {
                pthread_t thread;
                alarm(100);
                pthread_create(&thread, 0, work, 0);
                for (;;) pause();
            }
            """, to: "stuck.c")
        let program = folder.file("stuck")
        let build = try await Command.run(
            try #require(MatrixLibraries.find("cc")), ["-pthread", "-o", program.path, source.path])
        try #require(build.ending == .code(0), "\(build.errors)")
        let process = try Command(program)
        try #require(await Command.eventually { process.standardOutput.contains("ready") })
        let child = try String(contentsOfFile: "/proc/\(process.pid)/task/\(process.pid)/children", encoding: .utf8)
        let others = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/task").compactMap {
            try? String(contentsOfFile: "/proc/\(process.pid)/task/\($0)/children", encoding: .utf8)
        }
        let report = try AttachReport(pid: process.pid).make(symbolizer: Symbolizer())
        process.send(signal: SIGKILL)
        for child in ([child] + others).compactMap({ Int32($0.split(separator: " ").first ?? "") }) {
            kill(child, SIGKILL)
        }
        #expect(report.threads?.first?.frames?.isEmpty == false)
        #expect(report.threads?.last?.state == "not parked")
        #expect(report.threads?.last?.note?.contains("did not stop") == true)
        #expect(report.capture?.incomplete == true)
    }

    @Test func programThatIsLookedAtManyTimesComputesTheSame() async throws {
        let python = try #require(PythonInstallation.all.first)
        let script = """
            import hashlib, threading, sys
            def work(n, out):
                digest = b"granite"; total = 0.0
                for i in range(60000):
                    digest = hashlib.sha256(digest).digest(); total += (i % 7) / 3.0
                out[n] = (digest.hex(), total)
            out = {}
            threads = [threading.Thread(target=work, args=(n, out)) for n in range(4)]
            [t.start() for t in threads]; [t.join() for t in threads]
            print(len(set(out.values())), out[0])
            """
        let alone = try await Command.run(python.executable, ["-c", script])
        let watched = try Command(python.executable, ["-c", script])
        var dumps = 0
        while watched.isRunning, dumps < 200 {
            if (try? AttachReport(pid: watched.pid)) != nil { dumps += 1 }
        }
        #expect(await watched.wait() == .code(0))
        #expect(watched.standardOutput == alone.output)
        #expect(dumps > 0)
    }

    @Test func signalsThatComeMeanwhileAreDelivered() async throws {
        let python = try #require(PythonInstallation.all.first)
        let process = try Command(
            python.executable,
            [
                "-c",
                """
                import signal, sys
                count = 0
                def note(*_):
                    global count
                    count += 1
                    print(count, flush=True)
                signal.signal(signal.SIGUSR1, note)
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                signal.alarm(170)
                print("ready", flush=True)
                while count < 20: signal.pause()
                """,
            ])
        try #require(await Command.eventually { process.standardOutput.contains("ready") })
        for sent in 1...20 {
            process.send(signal: SIGUSR1)
            _ = try? AttachReport(pid: process.pid)
            #expect(await Command.eventually { process.standardOutput.contains("\(sent)\n") })
        }
        #expect(await process.wait() == .code(0))
    }

    @Test func processThatCannotBeTracedIsRefusedWithASentence() async throws {
        func refusal(_ pid: Int32) -> String {
            do {
                _ = try AttachReport(pid: pid)
                return "none"
            } catch {
                return "\(error)"
            }
        }
        #expect(refusal(4_194_303) == "There is no process 4194303.")
        #expect(refusal(getpid()).contains("granite-crash itself"))
        let zombie = try Command(URL(fileURLWithPath: "/bin/sh"), ["-c", "sleep 0 & exec sleep 600"])
        let ended = await Command.eventually { Self.zombieChild(of: zombie.pid) != nil }
        if ended, let child = Self.zombieChild(of: zombie.pid) {
            #expect(refusal(child).hasPrefix("Process \(child) has ended already: its parent, \(zombie.pid)"))
        }
        #expect(ended)
        zombie.send(signal: SIGKILL)
        if let strace = MatrixLibraries.find("strace") {
            let traced = try Command(URL(fileURLWithPath: "/bin/sleep"), ["600"])
            let tracer = try Command(strace, ["-p", "\(traced.pid)"])
            let isTraced = await Command.eventually {
                let status = try? String(contentsOfFile: "/proc/\(traced.pid)/status", encoding: .utf8)
                return status?.contains("TracerPid:\t\(tracer.pid)\n") == true
            }
            #expect(isTraced)
            #expect(refusal(traced.pid).contains("traced already, by process \(tracer.pid) (strace)"))
            tracer.send(signal: SIGKILL)
            traced.send(signal: SIGKILL)
        }
    }

    private static func zombieChild(of parent: Int32) -> Int32? {
        let children = (try? String(contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)) ?? ""
        return children.split(separator: " ").compactMap { Int32($0) }.first { child in
            let status = try? String(contentsOfFile: "/proc/\(child)/status", encoding: .utf8)
            return status?.contains("State:\tZ") == true
        }
    }
}
