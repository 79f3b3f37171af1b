import Foundation
import GraniteLogging
import Logging
import TestSupport
import Testing

/// Readers that stand still.
@Suite(.timeLimit(.minutes(1)))
struct LogOutputTests {
    /// What there is to read, up to `end` or until nothing more comes.
    private static func contents(of descriptor: Int32, end: String? = nil) -> String {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // A terminal's bytes come by way of a kernel thread.
        while end.map({ !text.hasSuffix($0) }) ?? true, poll(&ready, 1, end == nil ? 300 : 10_000) == 1 {
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { break }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
        return text
    }

    enum Channel: CaseIterable { case pipe, socket, terminal }

    /// The writing and the reading end.
    private static func ends(_ channel: Channel) throws -> (writing: Int32, reading: Int32) {
        var ends: [Int32] = [-1, -1]
        switch channel {
        case .pipe:
            try #require(pipe(&ends) == 0)
            return (ends[1], ends[0])
        case .socket:
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            return (ends[1], ends[0])
        case .terminal:
            // pts(4): posix_openpt(3) is not to be had from Swift.
            let master = open("/dev/ptmx", O_RDWR | O_NOCTTY)
            var (locked, number) = (Int32(0), Int32(0))
            let (setLock, getNumber) = (UInt(0x4004_5431), UInt(0x8004_5430))  // TIOCSPTLCK, TIOCGPTN
            try #require(ioctl(master, setLock, &locked) == 0 && ioctl(master, getNumber, &number) == 0)
            var settings = termios()
            let terminal = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
            try #require(terminal >= 0 && tcgetattr(terminal, &settings) == 0)
            cfmakeraw(&settings)
            try #require(tcsetattr(terminal, TCSANOW, &settings) == 0)
            return (terminal, master)
        }
    }

    /// A stopped terminal held up the only thread of the supervisor: no death was noticed any more.
    @Test(arguments: Channel.allCases) func aReaderThatStandsStillLosesLinesAndIsToldHowMany(channel: Channel) throws {
        let (writing, reading) = try Self.ends(channel)
        defer {
            close(writing)
            close(reading)
        }
        let output = LogOutput(descriptor: writing)
        let logger = Logger(label: "test") { _ in LineLogHandler(output: output, format: .json, clock: { 0 }) }
        let total = 3000
        for number in 0..<total { logger.info("\(number) \(String(repeating: "x", count: 500))") }
        var text = Self.contents(of: reading)
        logger.info("it goes again")
        text += Self.contents(of: reading, end: "it goes again\"}\n")

        let lines = try text.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)")
        }
        let lost = try #require(lines.dropLast().last)
        #expect(lost["event"] as? String == "log.lost")
        #expect(lost["level"] as? String == "warning")
        #expect(lost["lines"] as? Int == total - (lines.count - 2))
        #expect(lines.last?["message"] as? String == "it goes again")
        // The open file is shared with whoever gave it to us: it blocks as before.
        #expect(fcntl(writing, F_GETFL) & O_NONBLOCK == 0)
    }

    @Test func aGivenDescriptorIsReopenedUnderItsPath() throws {
        let directory = try TemporaryDirectory()
        let given = open(directory.file("log").path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(given) }
        let output = LogOutput(descriptor: given, path: directory.file("log").path)
        output.write(Array("before\n".utf8))
        try FileManager.default.moveItem(at: directory.file("log"), to: directory.file("log.1"))
        try output.reopen()
        output.write(Array("after\n".utf8))
        #expect(try String(contentsOf: directory.file("log"), encoding: .utf8) == "after\n")
    }
}
