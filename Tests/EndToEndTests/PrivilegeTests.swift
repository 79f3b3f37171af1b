// A crash needs no privilege to be told: real servers, confined in every way that a container, a hardened unit or a cautious kernel may
// confine them, must leave the same report.

import Foundation
import GraniteReport
import TestSupport
import Testing

/// With these refused nobody can look into another process. Yama (ptrace_scope 1 to 3) forbids a part of the same: attaching by ptrace
/// and PTRACE_MODE_ATTACH of process_vm_readv and pidfd_getfd (ptrace(2), Documentation/admin-guide/LSM/Yama.rst). So this stands for it
/// on kernels without.
private let refusals = "ptrace,process_vm_readv,process_vm_writev,kcmp,pidfd_getfd,perf_event_open,userfaultfd,bpf"

private let asRoot: [Confinement] = [
    Confinement("an unprivileged user", ["--user", "65534"]),
    Confinement("no capabilities", ["--no-capabilities", "--refuse", refusals]),
    Confinement("an unprivileged user without looking into others", ["--user", "65534", "--refuse", refusals]),
    Confinement(
        "a worker that is not dumpable", ["--user", "65534", "--refuse", refusals],
        environment: ["CONFINED_APP_NOT_DUMPABLE": "1"]),
    Confinement(
        "a read-only root", ["--only-writable", "FOLDER", "--user", "65534", "--refuse", refusals],
        environment: ["HOME": nil, "TMPDIR": nil]),
    Confinement(
        "no /tmp and no home", ["--hide", "/tmp", "--user", "65534"], parent: URL(fileURLWithPath: "/var/tmp"),
        environment: ["HOME": nil, "TMPDIR": nil]),
    Confinement("a /proc without other users' processes", ["--hidepid", "--user", "65534", "--refuse", refusals]),
    Confinement("few processes", ["--limit", "nproc=64", "--user", "61234"]),
]

private let asAnybody: [Confinement] = [
    Confinement("no looking into others", ["--refuse", refusals]),
    Confinement("64 descriptors", ["--limit", "nofile=64"]),
    Confinement("no locked memory and no core", ["--limit", "memlock=0", "--limit", "core=0"]),
    Confinement("no queued signals", ["--limit", "sigpending=0"]),
]

@Suite(.serialized, .timeLimit(.minutes(5)), .enabled(if: Confinement.openPython != nil))
struct PrivilegeTests {
    /// Those that this machine can make; a user who is not root is unprivileged anyway.
    static let possible = ((Confinement.isRoot ? asRoot : []) + asAnybody).filter(\.isPossible)

    @Test(arguments: possible)
    func confinedServerReportsEverything(_ confinement: Confinement) async throws {
        let server = try await Self.start(confinement)
        let worker = pid_t(try #require(try await server.event("worker.ready").int("worker.pid")))
        let collector = pid_t(try #require(try await server.event("collector.started").int("pid")))
        if confinement.options.contains("--refuse") {
            // The filter binds all three, and no capability would let anybody around it.
            for pid in [server.command.pid, worker, collector] { #expect(Self.status(of: pid, "Seccomp") == "2") }
        }
        if confinement.user != nil || confinement.options.contains("--no-capabilities") {
            for pid in [server.command.pid, worker, collector] {
                #expect(Self.status(of: pid, "CapEff") == "0000000000000000")
            }
        }

        #expect(await server.get("/crash") == nil)
        let exited = try await server.event("worker.exited")
        #expect(exited.string("signal") == "SIGSEGV")
        let respawned = try await server.event("worker.respawned")
        let report = try server.report(try #require(respawned.string("crash.id"), "\(respawned.line)"))
        try expectEverything(report)
        #expect(await server.get("/")?.status == 200)
        #expect(await server.stop() == .code(0))
    }

    /// A limit that holds for all three together, with room for the worker's threads and little else.
    @Test(.enabled(if: ProcessLimit.isPossible, "control groups cannot be made here"))
    func tightControlGroupIsEnough() async throws {
        let group = try ProcessLimit(processes: 48)
        let server = try await Self.start(Confinement("pids.max", ["--cgroup", group.folder]))
        #expect(await server.get("/crash") == nil)
        #expect(try await server.event("worker.exited").string("signal") == "SIGSEGV")
        let respawned = try await server.event("worker.respawned")
        try expectEverything(try server.report(try #require(respawned.string("crash.id"), "\(respawned.line)")))
        #expect(await server.stop() == .code(0))
    }

    /// Nothing names the threads, the mappings and the bounds of the stacks then. The status, the request, the crashed thread's registers
    /// and its Python frames are left, and the report says what is missing.
    @Test(.enabled(if: Confinement.isRoot, "only root can take /proc from a thread"))
    func workerWithoutProcStillTellsTheRequestAndThePythonStack() async throws {
        let server = try await Self.start(Confinement("no /proc", []))
        #expect(await server.get("/crash-without-proc") == nil)
        #expect(try await server.event("worker.exited").string("signal") == "SIGSEGV")
        let respawned = try await server.event("worker.respawned")
        let report = try server.report(try #require(respawned.string("crash.id"), "\(respawned.line)"))
        #expect(report.diagnosis?.category == "null_dereference")
        #expect(report.request?.target == "/crash-without-proc")
        #expect(report.capture?.incomplete == true)
        #expect(report.capture?.errors?.isEmpty == false)
        let frames = report.threads?.first?.frames ?? []
        let python = frames.filter { $0.kind == .python }.compactMap(\.symbol)
        #expect(Array(python.prefix(3)) == ["string_at", "read_name", "app"])
        #expect(frames.first?.kind == .native)
        #expect(await server.stop() == .code(0))
    }

    /// The report says what came out of the worker, whole: natively, in Python, of every thread.
    private func expectEverything(_ report: CrashReport) throws {
        let errors = report.capture?.errors ?? []
        #expect(report.capture?.incomplete != true, "\(errors)")
        #expect(report.diagnosis?.category == "null_dereference")
        #expect(report.request?.target == "/crash")
        let threads = try #require(report.threads)
        let crashed = try #require(threads.first)
        #expect(crashed.crashed == true)
        #expect(crashed.holdsGIL == true)
        let frames = crashed.frames ?? []
        let names = frames.map { $0.symbol ?? "?" }
        for name in ["string_at", "read_name", "app"] {
            #expect(frames.contains { $0.kind == .python && $0.symbol == name }, "\(name) is missing in \(names)")
        }
        #expect(frames.contains { $0.language == "Swift" && $0.symbol?.contains("Worker") == true }, "\(names)")
        let idle = threads.filter { $0.frames?.contains { $0.kind == .python && $0.symbol == "idle" } == true }
        #expect(idle.count == 20, "\(errors)")
        for thread in idle {
            let native = thread.frames?.filter { $0.kind == .native } ?? []
            #expect(native.count >= 8, "\(native.map { $0.symbol ?? "?" })")
            #expect(native.last.map { $0.symbol?.contains("clone") == true } == true)
        }
    }

    private static func start(_ confinement: Confinement) async throws -> GraniteServer {
        let folder = try TemporaryDirectory(in: confinement.parent)
        if let user = confinement.user { chown(folder.url.path, uid_t(user), gid_t(user)) }
        return try await GraniteServer(
            "confined_app:app", in: GraniteServer.fixtures,
            arguments: ["--python", try #require(Confinement.openPython)],
            environment: ["PYTHONDONTWRITEBYTECODE": "1"].merging(confinement.environment) { $1 }, folder: folder,
            launcher: [Confinement.confine] + confinement.options(for: folder.url.path) + ["--"])
    }

    /// A line of /proc/PID/status.
    private static func status(of pid: pid_t, _ key: String) -> String? {
        let text = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("\(key):") }?.split(separator: "\t").last.map(
            String.init)
    }
}
