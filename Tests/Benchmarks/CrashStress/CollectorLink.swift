// Stands in for the supervisor: one real collector, which many crashes share, several at a time.

import CLinux
import Foundation
import GraniteCrashChannel
import GraniteReport
import Synchronization

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
        let (mine, its) = try socketPair()
        control = mine
        pid = try spawn(
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

func socketPair() throws -> (Int32, Int32) {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
        throw StressError("no socket pair: \(String(cString: strerror(errno)))")
    }
    return (ends[0], ends[1])
}

func spawn(_ path: String, _ arguments: [String], descriptors: [Int32: Int32]) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Copies above all targets: one descriptor's target may be another's number.
    let copies = descriptors.map { (fcntl($0.key, F_DUPFD_CLOEXEC, 64), $0.value) }
    defer { for (copy, _) in copies { close(copy) } }
    for (copy, target) in copies { posix_spawn_file_actions_adddup2(&actions, copy, target) }
    var variables = Foundation.ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("GRANITE_") }
    variables["SWIFT_BACKTRACE"] = "enable=no"
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { (words + environment).forEach { free($0) } }
    // This may run on a thread of libdispatch's, which blocks signals, and a mask is inherited.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var open = sigset_t()
    sigemptyset(&open)
    posix_spawnattr_setsigmask(&attributes, &open)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var pid: pid_t = 0
    let error = posix_spawn(&pid, path, &actions, &attributes, &words, &environment)
    guard error == 0 else { throw StressError("\(path) cannot be started: \(String(cString: strerror(error)))") }
    return pid
}
