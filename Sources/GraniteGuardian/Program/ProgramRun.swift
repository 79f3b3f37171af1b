// The parent of the program: starts it, passes signals and stops on, waits for its end and for the reports. It changes nothing of what the
// program finds, and ends as the program did.

import CLinux
import Glibc
package import GraniteLinux
import GraniteReport

/// One per process. Belongs to the main thread, which must be the only one.
package final class ProgramRun {
    /// The program's wait status.
    package typealias Status = Int32

    private let link: MessageLink<GuardianMessage, RunMessage>
    private let news: (GuardianMessage) -> Void
    private let guardianGone: () -> Void
    private var passage: SignalPassage
    private var program: Int32 = 0
    private var status: Status?
    private var isSettled = false
    private var deadline = UInt64.max

    /// Longer than the guardian takes by its own rules.
    static let settlingNanoseconds: UInt64 = 11_000_000_000

    /// - Parameters:
    ///   - guardian: connected to the guardian, SOCK_SEQPACKET.
    ///   - news: called for what the guardian tells; must not wait.
    ///   - guardianGone: called when it has ended before its time.
    package init(
        guardian: Descriptor, news: @escaping (GuardianMessage) -> Void, guardianGone: @escaping () -> Void
    ) {
        link = MessageLink(guardian)
        self.news = news
        self.guardianGone = guardianGone
        passage = SignalPassage(isJob: Self.isJob)
    }

    /// Before anything else: from here on no signal ends this process, and the program will get what was before.
    ///
    /// - Returns: the descriptors that this process was started with.
    package static func prepare() -> [Int32] {
        granite_signals_hold()
        let inherited = openDescriptors()
        // Where a standard stream is closed, a socket of ours would get its number, and messages for people. The program finds it closed.
        while true {
            let number = open("/dev/null", O_RDWR | O_CLOEXEC)
            guard number >= 0 else { return inherited }
            if number > STDERR_FILENO {
                close(number)
                return inherited
            }
        }
    }

    /// Runs the program to its end and waits for the reports.
    ///
    /// - Parameters:
    ///   - path: what execve(2) is given; `arguments` begin with the name that the program is to see.
    ///   - inherited: of ``prepare()``; but for standard error they are the program's alone from here on.
    package func run(
        path: String, arguments: [[UInt8]], environment: ProgramEnvironment, inherited: [Int32]
    ) throws(ProgramFile.Refusal) -> Status {
        let error = withCStrings(arguments) { arguments in
            environment.withPointers { granite_program_start(path, arguments, $0, &program) }
        }
        guard error == 0 else {
            throw ProgramFile.Refusal(
                sentence: "\(path) cannot be run: \(String(cString: strerror(error))).",
                exitCode: error == ENOENT ? 127 : 126)
        }
        let signals = Descriptor(granite_signal_descriptor())
        letGo(inherited)
        link.send(.started(pid: program))
        lookAtChildren()
        while !isDone { turn(signals) }
        return status ?? 0
    }

    /// Ends this process as the program ended.
    package static func end(as status: Status) -> Never {
        let signal = status & 0x7f
        if signal == 0 { exit(status >> 8 & 0xff) }
        granite_die_of(signal)
        // As a shell says it; pid 1 gets here.
        exit(128 + signal)
    }

    private var isDone: Bool {
        status != nil && (isSettled || !link.isOpen || granite_monotonic_ns() >= deadline)
    }

    private func turn(_ signals: Descriptor) {
        var requests = [pollfd(fd: signals.number, events: Int16(POLLIN), revents: 0)]
        if link.isOpen { requests.append(link.interest) }
        let now = granite_monotonic_ns()
        let timeout: Int32 =
            deadline == .max ? -1 : now >= deadline ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
        _ = poll(&requests, nfds_t(requests.count), timeout)
        var arrival = granite_signal_arrival()
        while granite_signal_next(signals.number, &arrival) == 1 { heed(arrival) }
        hearGuardian()
    }

    private func hearGuardian() {
        guard link.isOpen else { return }
        link.flush()
        for message in link.receive() {
            if message == .settled { isSettled = true } else { news(message) }
        }
        if !link.isOpen, !isSettled { guardianGone() }
    }

    // MARK: - Signals

    private func heed(_ arrival: granite_signal_arrival) {
        let action = passage.action(signal: arrival.signal, code: arrival.code)
        if action == .lookAtChildren { return lookAtChildren() }
        guard status == nil else {
            // Nobody is there any more to pass it to: whoever sends it does not want to wait for reports.
            if [SIGINT, SIGTERM, SIGQUIT, SIGHUP].contains(arrival.signal) { deadline = 0 }
            return
        }
        // The program is not reaped: its pid is its own.
        switch action {
        case .none, .lookAtChildren: break
        case .resume: if isStopped { kill(program, SIGCONT) }
        case .forward:
            if arrival.code == -1 {  // SI_QUEUE
                var value = sigval()
                value.sival_ptr = UnsafeMutableRawPointer(bitPattern: UInt(arrival.value))
                sigqueue(program, arrival.signal, value)
            } else {
                kill(program, arrival.signal)
            }
        }
    }

    private var isStopped: Bool {
        guard let stat = SmallFile.text(at: "/proc/\(program)/stat", limit: 4096), let end = stat.lastIndex(of: ")")
        else {
            return false
        }
        return stat[end...].dropFirst(2).first == "T"
    }

    /// The parent is of this session but of another process group: a shell with job control.
    private static var isJob: Bool {
        let parent = getppid()
        return getsid(parent) == getsid(0) && getpgid(parent) != getpgid(0)
    }

    // MARK: - Children

    /// All of them: as pid 1, and where run was executed in the place of a shell, there may be others.
    private func lookAtChildren() {
        var change = granite_child_change()
        while status == nil, granite_child_next(program, &change) == 1 {
            guard change.pid == program else { continue }
            if change.wait_status & 0xff == 0x7f {
                if passage.stopsToo() { granite_stop_self(change.wait_status >> 8) }
                continue
            }
            status = change.wait_status
            deadline = granite_monotonic_ns() &+ Self.settlingNanoseconds
            link.send(.ended(pid: program, waitStatus: change.wait_status, resources: ResourceUsage(change.resources)))
        }
    }

    // MARK: - Descriptors

    /// Closes what the program was given: a pipe that is open here too would not end when the program closes it.
    private func letGo(_ inherited: [Int32]) {
        let nowhere = open("/dev/null", O_RDWR | O_CLOEXEC)
        for number in inherited where number != STDERR_FILENO {
            if number > STDERR_FILENO { close(number) } else if nowhere >= 0 { dup2(nowhere, number) }
        }
        if nowhere > STDERR_FILENO { close(nowhere) }
    }

    private static func openDescriptors() -> [Int32] {
        guard let folder = opendir("/proc/self/fd") else { return [] }
        defer { closedir(folder) }
        var numbers: [Int32] = []
        while let entry = readdir(folder) {
            // SAFETY: d_name is NUL-terminated within its 256 bytes (readdir(3)), and the entry lives until the next call.
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let number = Int32(name), number != dirfd(folder) { numbers.append(number) }
        }
        return numbers
    }
}
