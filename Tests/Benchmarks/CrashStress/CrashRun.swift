// Runs one crash from its start to its stored report, and says what is wrong with it.

import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import TestSupport

/// What one crash showed.
struct CrashRun: Sendable {
    /// A sentence for each thing that is not as the matrix says; empty if all is well.
    var faults: [String] = []
    /// Nanoseconds from the handler's first line; nil if the handler did not run.
    var copied: UInt64?
    /// To the moment when wait(2) returned.
    var dead: UInt64?
    /// To the moment when the supervisor heard of the stored report.
    var stored: UInt64?
    /// The last one.
    var report: CrashReport?

    static func perform(_ entry: MatrixCase, argument: String?, probe: String, link: CollectorLink) throws -> CrashRun {
        let crashID = ULID.make()
        let page = try CrashPage.make(crashID: crashID, slot: 1, generation: 1, level: 2)
        defer { close(page) }
        let (memory, its) = try ProbeProcess.socketPair()
        defer { close(memory) }
        let errors = granite_memfd_create("stderr")
        defer { close(errors) }
        let pid: pid_t
        do {
            defer { close(its) }
            pid = try ProbeProcess.spawn(
                probe,
                [entry.name, "--level", "full", "--page-fd", "10", "--memory-socket", "11"]
                    + (argument.map { ["--argument", $0] } ?? []),
                descriptors: [page: 10, its: 11, errors: 2])
        }
        try link.send(
            .watch(.init(crashID: crashID, slot: 1, generation: 1, pid: pid, afterCollectorRestart: false)),
            descriptors: [page, memory])

        var status: Int32 = 0
        var usage = rusage()
        wait4(pid, &status, 0, &usage)
        let ended = granite_monotonic_ns()
        // A survivor's reports come while it lives; its end is no news then.
        try link.send(
            .exited(
                .init(
                    crashID: crashID, pid: pid, waitStatus: status, expected: entry.isSurvived, duringStartup: false,
                    uptimeSeconds: 0.1, resources: .init(userSeconds: 0, systemSeconds: 0, maxRSSBytes: 0),
                    logTail: lines(of: errors), oomKills: 0)))
        try link.send(.respawned(.init(crashID: crashID, pid: pid &+ 1, afterMilliseconds: 1)))

        var run = CrashRun()
        let answers = link.answers(about: crashID, count: entry.reports)
        run.checkStatus(status, entry)
        for answer in answers {
            switch answer {
            case .failed(let reason): run.faults.append("no report: \(reason)")
            case .report(let report, _):
                run.check(report, entry)
                run.report = report
            }
        }
        if let capture = try? CrashPage(descriptor: page).capture(), capture.kind == .signal {
            let entered = capture.enteredNanoseconds
            if capture.copiedNanoseconds > entered { run.copied = capture.copiedNanoseconds - entered }
            run.dead = ended > entered ? ended - entered : nil
            if case .report(_, let at)? = answers.last { run.stored = at - entered }
        }
        let count = link.settle(crashID)
        if count != entry.reports { run.faults.append("\(count) reports instead of \(entry.reports)") }
        return run
    }

    private mutating func checkStatus(_ status: Int32, _ entry: MatrixCase) {
        let found =
            status & 0x7f == 0 ? "exit \(status >> 8 & 0xff)" : SignalName.name(Int(status & 0x7f))
        if found != entry.status.description { faults.append("wait status \(found) instead of \(entry.status)") }
    }

    private mutating func check(_ report: CrashReport, _ entry: MatrixCase) {
        if report.kind?.rawValue != entry.kind {
            faults.append("kind \(report.kind?.rawValue ?? "nil") instead of \(entry.kind)")
        }
        let category = report.diagnosis?.category ?? "nil"
        if category != entry.category { faults.append("category \(category) instead of \(entry.category)") }
        if let reason = entry.reason, report.reason?.hasPrefix(reason) != true {
            faults.append("reason \"\(report.reason ?? "")\"")
        }
        if (report.capture?.incomplete == true) != (entry.incomplete == true) {
            let errors = (report.capture?.errors ?? []).joined(separator: " ")
            faults.append("incomplete \(report.capture?.incomplete == true): \(errors)")
        }
        let names = (report.threads?.first?.frames ?? []).map { $0.symbol ?? "?" }
        var rest = names[...]
        for wanted in entry.frames {
            // The optimizer makes copies of Swift functions, `specialized f()`; those are the function all the same.
            guard let index = rest.firstIndex(where: { $0 == wanted || $0.hasSuffix(" " + wanted) }) else {
                return faults.append("\(wanted) is missing or out of order in \(names.prefix(20))")
            }
            rest = rest[(index + 1)...]
        }
    }

    /// The last lines that the probe wrote to stderr.
    private static func lines(of file: Int32) -> [String] {
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let size = lseek(file, 0, SEEK_END)
        let count = pread(file, &bytes, bytes.count, max(0, size - off_t(bytes.count)))
        guard count > 0 else { return [] }
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").suffix(50).map(String.init)
    }
}
