// Which confinements this machine allows, and how a confined server is started. Separate from the tests, which say what must hold in each.

import Foundation
import TestSupport
import Testing

/// What is taken from a server and all its children before it starts: arguments of `Confine`.
struct Confinement: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// `FOLDER` stands for the server's own folder, the only one that it must be able to write to.
    var options: [String]
    /// Where that folder is made.
    var parent: URL?
    var environment: [String: String?] = [:]

    init(_ name: String, _ options: [String], parent: URL? = nil, environment: [String: String?] = [:]) {
        testDescription = name
        self.options = options
        self.parent = parent
        self.environment = environment
    }

    /// The user of the server, if it is given one.
    var user: Int? {
        options.firstIndex(of: "--user").flatMap { Int(options[$0 + 1]) }
    }

    func options(for folder: String) -> [String] { options.map { $0 == "FOLDER" ? folder : $0 } }

    static var confine: String { BuildProducts.executable("Confine").path }

    /// Whether the kernel and our rights let a program be confined so.
    var isPossible: Bool {
        guard let folder = try? TemporaryDirectory(in: parent) else { return false }
        return Self.succeeds([Self.confine] + options(for: folder.url.path) + ["--", "/bin/true"])
    }

    /// A Python that another user can run, too: a home is often closed to others.
    static let openPython: String? = [TestPython.path, "/usr/bin/python3"].compactMap { $0 }.first { path in
        let probe = [path, "-c", "import ctypes, sysconfig; open(sysconfig.__file__)"]
        return succeeds(isRoot ? [confine, "--user", "65534", "--"] + probe : probe)
    }

    static var isRoot: Bool { geteuid() == 0 }

    private static func succeeds(_ line: [String]) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: line[0])
        process.arguments = Array(line.dropFirst())
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationReason == .exit && process.terminationStatus == 0
    }
}

/// A control group that allows few processes and threads, removed with this value.
final class ProcessLimit {
    let folder: String

    init(processes: Int) throws {
        // Version 1 has a tree for each controller, version 2 one for all.
        let roots = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        guard let root = roots.first(where: { FileManager.default.fileExists(atPath: "\($0)/cgroup.procs") }) else {
            throw POSIXError(.ENOENT)
        }
        folder = "\(root)/granite-test-\(UUID().uuidString)"
        guard mkdir(folder, 0o755) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EACCES) }
        let file = open("\(folder)/pids.max", O_WRONLY | O_CLOEXEC)
        defer { close(file) }
        let text = "\(processes)"
        guard write(file, text, text.utf8.count) > 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EACCES)
        }
    }

    deinit { rmdir(folder) }

    static var isPossible: Bool { (try? ProcessLimit(processes: 10)) != nil }
}
