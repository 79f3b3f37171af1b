// Finds the CPythons of this machine, so that every test of the Python reader runs on each of them.

import Foundation
import Testing

/// A CPython that the tests can start.
struct PythonInstallation: Sendable, CustomTestStringConvertible {
    var executable: URL
    var versionHex: UInt32

    var minor: Int { Int(versionHex >> 16 & 0xFF) }
    var testDescription: String { "\(executable.path) (3.\(minor).\(versionHex >> 8 & 0xFF))" }

    /// 3.9 to 3.13, from PATH, pyenv and /usr.
    static let all: [PythonInstallation] = {
        var folders = (Foundation.ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(
            String.init)
        let versions = FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".pyenv/versions")
        for name in ((try? FileManager.default.contentsOfDirectory(atPath: versions.path)) ?? []).sorted() {
            folders.append(versions.appendingPathComponent(name).appendingPathComponent("bin").path)
        }
        folders += ["/usr/local/bin", "/usr/bin"]
        var found: [String: PythonInstallation] = [:]
        for folder in folders {
            for minor in 9...13 {
                let candidate = URL(fileURLWithPath: folder).appendingPathComponent("python3.\(minor)")
                guard FileManager.default.isExecutableFile(atPath: candidate.path), let python = asked(candidate) else {
                    continue
                }
                found[python.executable.path] = python
            }
        }
        return found.values.sorted { ($0.versionHex, $0.executable.path) < ($1.versionHex, $1.executable.path) }
    }()

    /// One of each minor version, where a test is slow.
    static let oneOfEach: [PythonInstallation] = {
        var minors: Set<Int> = []
        return all.filter { minors.insert($0.minor).inserted }
    }()

    static func with(minor: Int) -> PythonInstallation? { all.first { $0.minor == minor } }

    /// pyenv's shims are scripts that may refuse, so the program itself says where it is.
    private static func asked(_ candidate: URL) -> PythonInstallation? {
        let process = Process()
        let output = Pipe()
        process.executableURL = candidate
        process.arguments = ["-c", "import os, sys; print(os.path.realpath(sys.executable), sys.hexversion)"]
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let words = text.split(whereSeparator: \.isWhitespace)
        guard process.terminationStatus == 0, words.count == 2, let hex = UInt32(words[1]) else { return nil }
        return PythonInstallation(executable: URL(fileURLWithPath: String(words[0])), versionHex: hex)
    }
}
