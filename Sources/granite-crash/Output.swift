// Defines how the commands write: whole texts by write(2), so that no C stream is shared, and messages that name the program.

import Glibc
import GraniteReport

enum Output {
    /// Writes text to standard output. A reader that went away (`| head`) is no error.
    static func write(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }

    static func write(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// Writes `granite-crash: …` to standard error.
    ///
    /// A sentence may quote a report, a path or a server: what a terminal would obey is made visible, line by line.
    static func complain(_ sentence: String) {
        let lines = sentence.split(separator: "\n", omittingEmptySubsequences: false)
        let text = lines.map { TerminalText.neutralised(String($0)) }.joined(separator: "\n")
        write(Array("granite-crash: \(text)\n".utf8), to: STDERR_FILENO)
    }

    /// By default a write to nobody kills the program, and a script with pipefail sees a failure where there is none.
    private static let outlivesReader: Void = { signal(SIGPIPE, SIG_IGN) }()

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        outlivesReader
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = Glibc.write(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done)
                if count < 0, errno == EINTR { continue }
                if count <= 0 { return }
                done += count
            }
        }
    }
}
