// Reads symbol tables with nm(1).

import Foundation

enum SymbolTable {
    /// The lines that `nm` prints. Blocks until it has printed all of them, which takes milliseconds.
    static func lines(_ options: [String], of file: String) throws -> [Substring] {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nm")
        process.arguments = options + [file]
        process.standardOutput = output
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw POSIXError(.ENOENT) }
        return String(decoding: text, as: UTF8.self).split(separator: "\n")
    }
}
