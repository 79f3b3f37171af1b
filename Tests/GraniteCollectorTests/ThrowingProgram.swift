// Builds programs that throw and runs them with the preloaded library. Separate because several suites run the same ones.

import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport
import Testing

/// A program of Tests/CrashLibraries with a `main`, built once.
struct ThrowingProgram: Sendable {
    static let cxx = ThrowingProgram(
        source: "thrower.cpp", compiler: "c++", flags: ["-g", "-O2", "-std=c++17", "-pthread"])
    static let rust = ThrowingProgram(source: "panicker.rs", compiler: "rustc", flags: ["-g", "--edition", "2021"])
    static let rustThatAborts = ThrowingProgram(
        source: "panicker.rs", compiler: "rustc", flags: ["-g", "--edition", "2021", "-C", "panic=abort"])
    /// As wheels are: no function has a name.
    static let rustWithoutNames = ThrowingProgram(
        source: "panicker.rs", compiler: "rustc",
        flags: ["--edition", "2021", "-C", "panic=abort", "-C", "strip=symbols"])
    /// Throws when it is called: for programs that load it.
    static let library = ThrowingProgram(
        source: "throw.cpp", compiler: "c++", flags: ["-g", "-O2", "-shared", "-fPIC", "-DEND=open"])

    static var preload: URL { BuildProducts.executable("libgranite-preload.so") }

    var source: String
    var compiler: String
    var flags: [String]

    var canBeBuilt: Bool { MatrixLibraries.find(compiler) != nil }

    /// Its path.
    func built() async throws -> URL { try await Builds.shared.path(of: self) }

    private actor Builds {
        static let shared = Builds()
        private var builds: [String: Task<URL, any Error>] = [:]
        private var directory: TemporaryDirectory?

        func path(of program: ThrowingProgram) async throws -> URL {
            let key = ([program.source] + program.flags).joined(separator: " ")
            if let build = builds[key] { return try await build.value }
            let folder = try directory ?? TemporaryDirectory()
            directory = folder
            let output = folder.file("program\(builds.count)")
            let build = Task { () throws -> URL in
                let input = BuildProducts.checkout.appendingPathComponent("Tests/CrashLibraries/\(program.source)").path
                let compiler = try #require(MatrixLibraries.find(program.compiler))
                let run = try await Command.run(compiler, program.flags + ["-o", output.path, input], limit: 120)
                try #require(run.ending == .code(0), "\(run.errors)")
                return output
            }
            builds[key] = build
            return try await build.value
        }
    }

    /// What is left of a run.
    struct Ended: Sendable {
        var status: Int32
        /// Those of captures first, then that of an exit with another code than 0.
        var reports: [CrashReport]
        var thrown: [CrashPage.Throw]
        var occasions: [CrashPage.Occasion]

        var report: CrashReport? { reports.last }
        var exitCode: Int32? { status & 0x7f == 0 ? status >> 8 & 0xff : nil }
    }

    /// Runs one case to its end, and waits for its reports: of the panics that were captured, and of a fatal end.
    ///
    /// - Parameter logged: its end is told with what it wrote on standard error.
    func run(_ name: String, _ arguments: [String] = [], logged: Bool = true) async throws -> Ended {
        try await Self.run(try await built().path, [name] + arguments, logged: logged)
    }

    /// Any program that installs the capture with descriptors 10 and 11.
    static func run(_ program: String, _ arguments: [String], logged: Bool = true) async throws -> Ended {
        return try await FakeSupervisor.onThread {
            let supervisor = try FakeSupervisor()
            let log = supervisor.directory.file("stderr")
            let errors = open(log.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            defer { close(errors) }
            var worker = FakeSupervisor.Worker()
            worker.page = try CrashPage.make(crashID: worker.crashID, slot: 1, generation: 2, level: 2)
            let (mine, its) = try ProbeProcess.socketPair()
            worker.memorySocket = mine
            defer { supervisor.release(worker) }
            worker.pid = try ProbeProcess.spawn(
                "/usr/bin/env",
                ["LD_PRELOAD=\(Self.preload.path)", "RUST_BACKTRACE=0", program] + arguments,
                descriptors: [worker.page: 10, its: 11, errors: 2])
            close(its)
            try supervisor.watch(worker)
            let status = try supervisor.reap(worker, logFile: logged ? log : nil)
            let page = try CrashPage(descriptor: worker.page)
            let captures = Int(try page.capture().sequence)
            // An unexpected end has a report, whether it was captured or not; each comes when it is ready.
            let count = captures + (try page.capture().kind == .signal ? 0 : 1)
            let reports = try (0..<count).map { _ in try supervisor.receiveReport().report }
            let told = reports.filter { $0.kind != .exit } + reports.filter { $0.kind == .exit && status != 0 }
            return Ended(
                status: status, reports: told, thrown: try page.thrown(), occasions: try page.occasions())
        }
    }
}
