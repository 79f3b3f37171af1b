// Finds the library that is preloaded, beside the running program, and tells how to get it.

import Glibc

package enum CaptureLibrary {
    package static let fileName = "libgranite-preload.so"

    /// The running executable's real path.
    package static func executable() -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The library beside `executable`.
    package static func beside(_ executable: String) throws(ProgramFile.Refusal) -> String {
        let folder = executable.lastIndex(of: "/").map { executable[..<$0] } ?? "."
        let path = "\(folder)/\(fileName)"
        guard access(path, R_OK) == 0 else {
            throw ProgramFile.Refusal(
                sentence:
                    "\(path) is missing, which captures crashes inside of programs. `swift build` makes it beside granite-crash; install the two together.",
                exitCode: 126)
        }
        // What LD_PRELOAD is split at (ld.so(8)).
        guard !path.contains(where: { $0 == " " || $0 == ":" }) else {
            throw ProgramFile.Refusal(
                sentence: "\(path) cannot be preloaded: LD_PRELOAD takes no path with a space or a colon. Move it.",
                exitCode: 126)
        }
        return path
    }
}
