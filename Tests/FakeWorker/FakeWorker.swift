// A worker that follows a script: the payload maps `slot.generation`, `slot` or `*` to a list of steps.

import CGraniteCapture
import CLinux
import Foundation
import GraniteCrashChannel
import GraniteSupervisor

enum FakeWorker {
    static func run() {
        signal(SIGINT, SIG_IGN)
        // What the supervisor hands down is looked at before anything else is opened.
        let open = (0..<64).filter { fcntl(Int32($0), F_GETFD) >= 0 }
        signal(SIGTERM) { _ in
            WorkerStatus.stopping.send()
            _exit(0)
        }
        guard let page = try? CrashPage(descriptor: WorkerDescriptor.crashPage), let status = try? page.status() else {
            exit(90)
        }
        let payload = FileHandle(fileDescriptor: WorkerDescriptor.configuration).readDataToEndOfFile()
        let scripts = (try? JSONDecoder().decode([String: [String]].self, from: payload)) ?? [:]
        let steps =
            scripts["\(status.slot).\(status.generation)"] ?? scripts["\(status.slot)"] ?? scripts["*"] ?? [
                "ready", "serve",
            ]
        for step in steps {
            let words = step.split(separator: " ", maxSplits: 2).map(String.init)
            switch words[0] {
            case "ready": WorkerStatus.ready.send()
            case "serve": serve()
            case "exit": exit(Int32(words[1]) ?? 91)
            case "signal":
                signal(Int32(words[1]) ?? SIGABRT, SIG_DFL)
                raise(Int32(words[1]) ?? SIGABRT)
            case "fail":
                WorkerStatus.failed(code: Int32(words[1]) ?? 1, message: words[2]).send()
                exit(Int32(words[1]) ?? 1)
            case "ignore-term": signal(SIGTERM, SIG_IGN)
            case "requests": count(requests: UInt64(words[1]) ?? 0)
            case "occasion": count(mistakes: UInt32(words[1]) ?? 0)
            case "outgrown": WorkerStatus.outgrown(rssBytes: UInt64(words[1]) ?? 0, limitBytes: 200).send()
            case "stderr": print(bytes: Array(step.dropFirst(7).utf8) + [10])
            case "hostile": print(bytes: hostile)
            case "descriptors": print(bytes: Array("open: \(open.map(String.init).joined(separator: " "))\n".utf8))
            case "leave-child": leaveChild()
            default: exit(92)
            }
        }
        serve()
    }

    /// Invalid UTF-8, control characters, quotes, an empty line, an escape sequence, a line far too long, no newline at the end.
    static let hostile: [UInt8] =
        [0xFF, 0xFE, 0x22, 0x5C, 0x00, 0x07, 0x1B, 0x5B, 0x32, 0x4A, 0xED, 0xA0, 0x80, 10, 10]
        + [UInt8](repeating: 0x61, count: 40_000) + [10] + Array(#"{"event":"forged"}"#.utf8) + [10]
        + Array("no newline".utf8)

    private static func print(bytes: [UInt8]) { _ = write(STDERR_FILENO, bytes, bytes.count) }

    /// Writes the number of served requests where the page has it.
    private static func count(requests: UInt64) {
        var value = requests
        pwrite(WorkerDescriptor.crashPage, &value, 8, 88)
    }

    /// Writes a mistake of which one has a report.
    private static func count(mistakes: UInt32) {
        var occasion = granite_occasion()
        (occasion.fingerprint, occasion.sequence, occasion.kind) = (7, 2, GRANITE_KIND_DROP_SITE.rawValue)
        (occasion.count, occasion.captured, occasion.first_ns, occasion.last_ns) = (mistakes, 1, 1, 2)
        withUnsafeMutableBytes(of: &occasion.subject) { $0.copyBytes(from: Array("cursor".utf8)) }
        withUnsafeMutableBytes(of: &occasion.message) { $0.copyBytes(from: Array("cursor was dropped".utf8)) }
        pwrite(
            WorkerDescriptor.crashPage, &occasion, MemoryLayout<granite_occasion>.size,
            off_t(GRANITE_OFFSET_OCCASIONS.rawValue))
    }

    /// A child that keeps the worker's stderr open after its death.
    private static func leaveChild() {
        let child = Process()
        child.executableURL = URL(fileURLWithPath: "/bin/sh")
        child.arguments = ["-c", "sleep 0.3; echo from the child >&2"]
        try? child.run()
    }

    /// Answers each connection with its pid, until SIGTERM or until the supervisor is gone.
    private static func serve() {
        let listeners = Int32(ProcessInfo.processInfo.environment[WorkerDescriptor.listenerCountVariable] ?? "") ?? 0
        var sources = (0..<listeners).map {
            pollfd(fd: WorkerDescriptor.firstListener + $0, events: Int16(POLLIN), revents: 0)
        }
        sources.append(pollfd(fd: WorkerDescriptor.status, events: Int16(POLLIN), revents: 0))
        while true {
            poll(&sources, nfds_t(sources.count), -1)
            if sources[sources.count - 1].revents != 0 { exit(0) }
            for source in sources.dropLast() where source.revents != 0 {
                let connection = granite_accept(source.fd)
                guard connection >= 0 else { continue }
                let answer = Array("\(getpid())".utf8)
                _ = write(connection, answer, answer.count)
                close(connection)
            }
        }
    }
}
