// Stands in for the supervisor: one real collector, which many crashes share, several at a time.

import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import Synchronization
import TestSupport

struct StressError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// The control socket's end. Any thread may send and wait; one thread of its own receives.
final class CollectorLink: Sendable {
    let pid: pid_t
    private let control: Int32
    private let sending = Mutex(())
    private let received = Mutex(Received())
    /// Told once for each message.
    private let news = NSCondition()

    private struct Received {
        var isOpen = true
        var answers: [String: [Answer]] = [:]
    }

    enum Answer: Sendable {
        case report(CrashReport, at: UInt64)
        case failed(String)
    }

    init(collector: String, crashes: String, level: String) throws {
        let (mine, its) = try ProbeProcess.socketPair()
        control = mine
        pid = try ProbeProcess.spawn(
            collector, ["collect", "--control-fd", "3", "--crash-dir", crashes, "--level", level], descriptors: [its: 3]
        )
        close(its)
        Thread { [self] in receive() }.start()
    }

    func send(_ message: SupervisorMessage, descriptors: [Int32] = []) throws {
        let data = try JSONEncoder().encode(message)
        let sent = sending.withLock { _ in
            data.withUnsafeBytes {
                granite_send_with_descriptors(control, $0.baseAddress!, $0.count, descriptors, Int32(descriptors.count))
            }
        }
        guard sent == data.count else { throw StressError("the collector's control socket takes no message") }
    }

    /// What was said about one crash, once `count` answers are there; earlier if `limit` seconds pass or the collector is gone.
    func answers(about crashID: String, count: Int, limit: Double = 30) -> [Answer] {
        let deadline = Date(timeIntervalSinceNow: limit)
        news.lock()
        defer { news.unlock() }
        while true {
            let (answers, isOpen) = received.withLock { ($0.answers[crashID] ?? [], $0.isOpen) }
            if answers.count >= count || !isOpen || !news.wait(until: deadline) { return answers }
        }
    }

    /// Forgets a crash and says how often it was reported in all.
    func settle(_ crashID: String) -> Int { received.withLock { $0.answers.removeValue(forKey: crashID)?.count ?? 0 } }

    /// Reports that came after their crash was settled: reported twice.
    var strays: Int { received.withLock { $0.answers.values.reduce(0) { $0 + $1.count } } }

    /// Lets the collector finish and returns its wait status.
    func stop() -> Int32 {
        shutdown(control, Int32(SHUT_WR))
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        return status
    }

    private func receive() {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = recv(control, &bytes, bytes.count, 0)
            let now = granite_monotonic_ns()
            guard count > 0 else { break }
            guard let message = try? JSONDecoder().decode(CollectorMessage.self, from: Data(bytes[..<count])) else {
                continue
            }
            switch message {
            case .ready: continue
            case .reported(let crashID, let summary):
                let data = summary.report.flatMap { FileManager.default.contents(atPath: $0) } ?? Data()
                if let report = try? CrashReport.decode([UInt8](data)) {
                    put(.report(report, at: now), about: crashID)
                } else {
                    put(.failed("the stored report cannot be read"), about: crashID)
                }
                // Thousands of reports would fill the disk, and the store would spend its time in pruning them.
                if let path = summary.report { unlink(path) }
            case .failed(let crashID, let reason, _): put(.failed(reason), about: crashID)
            }
        }
        received.withLock { $0.isOpen = false }
        announce()
    }

    private func put(_ answer: Answer, about crashID: String) {
        received.withLock { $0.answers[crashID, default: []].append(answer) }
        announce()
    }

    private func announce() {
        news.lock()
        news.broadcast()
        news.unlock()
    }
}
