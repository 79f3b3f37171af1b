// A folder that a test has to itself.

package import Foundation

/// A fresh folder, removed with its contents when the last reference goes.
package final class TemporaryDirectory: Sendable {
    package let url: URL

    /// - Parameter parent: nil = where temporary files go.
    package init(in parent: URL? = nil) throws {
        url = (parent ?? FileManager.default.temporaryDirectory)
            .appendingPathComponent("granite-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    package func file(_ name: String) -> URL { url.appendingPathComponent(name) }

    @discardableResult
    package func write(_ text: String, to name: String) throws -> URL {
        try FileManager.default.createDirectory(
            at: file(name).deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file(name), atomically: true, encoding: .utf8)
        return file(name)
    }

    /// Writes a program that can be run at once. Another process makes the file: a program that a test beside this one starts meanwhile
    /// holds a copy of our descriptors until it is executed, and a file that is open for writing cannot be run (ETXTBSY).
    package func writeExecutable(_ text: String, to name: String) throws -> URL {
        let source = try write(text, to: name + ".text")
        let copy = Process()
        copy.executableURL = URL(fileURLWithPath: "/usr/bin/install")
        copy.arguments = ["-m", "755", source.path, file(name).path]
        try copy.run()
        copy.waitUntilExit()
        return file(name)
    }
}
