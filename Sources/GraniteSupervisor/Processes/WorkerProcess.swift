// Defines one running worker as the supervisor holds it: the process, its crash page and its sockets.

import CLinux
import Glibc
import GraniteCrashChannel
import GraniteLinux
import GraniteReport

/// A spawned worker. Belongs to the supervisor's thread.
final class WorkerProcess {
    let id: WorkerID
    /// Given out at spawn, so that every event can name it.
    let crashID: String
    let child: ChildProcess
    let started = ContinuousClock.now
    let page: Descriptor
    /// The collector's end of the memory socket; kept for a collector that must be started again.
    let collectorEnd: Descriptor
    let status: Descriptor
    var output: OutputRelay
    var expectation = ExitExpectation()
    /// The memory cgroup it is in; nil if none can be read.
    var cgroup: MemoryCgroup?
    var becameReady = false
    /// Resident bytes and the limit, once it said that it has more memory than it may have.
    var outgrown: (rssBytes: UInt64, limitBytes: UInt64)?
    /// The report of how its memory grew, by its id.
    var growthReport: String?
    /// What it said about why it cannot start.
    var failure: StartupFailure?
    /// The same in its own words: a sentence, then the traceback, which it then does not write on stderr.
    var complaint: String?
    var tokens: (death: Poller.Token?, status: Poller.Token?, output: Poller.Token?) = (nil, nil, nil)

    var identity: WorkerIdentity { WorkerIdentity(slot: id.slot, pid: child.pid, generation: id.generation) }
    /// Requests served so far, as the worker counts them in its page.
    var requests: UInt64 {
        guard let page = try? CrashPage(descriptor: page.number) else { return 0 }
        return (try? page.status())?.requestsServed ?? 0
    }
    /// The mistakes that it survived and counted, by its page.
    var occasions: [CrashPage.Occasion] {
        (try? CrashPage(descriptor: page.number)).flatMap { try? $0.occasions() } ?? []
    }
    /// What it said last, on stderr and of its own failure to start; for its report.
    var lastLines: [String] {
        var tail = output.tail
        for line in complaint?.split(separator: "\n") ?? [] { tail.append(String(line)) }
        return tail.lines
    }
    /// The requests that it is serving, as its page says; what looks like a secret is left out.
    var requestsInFlight: [RequestInfo] {
        let requests = (try? CrashPage(descriptor: page.number)).flatMap { try? $0.requests() } ?? []
        return requests.map { request in
            var info = RequestInfo()
            info.id = request.id
            info.method = request.method
            info.target = Redaction.target(request.target)
            return info
        }
    }

    /// Makes page and sockets and spawns the worker.
    init(_ id: WorkerID, configuration: SupervisorConfiguration, log: Int32) throws(SupervisorError) {
        self.id = id
        crashID = ULID.make()
        do {
            page = Descriptor(
                try CrashPage.make(
                    crashID: crashID, slot: UInt32(clamping: id.slot), generation: UInt32(clamping: id.generation),
                    level: configuration.level.pageValue))
        } catch {
            throw SupervisorError(code: .systemCall, errno: error.errno, subject: error.doing)
        }
        let memory = try Descriptor.makeMessageSockets()
        let status = try Descriptor.makeMessageSockets()
        let output = try Descriptor.makePipe()
        let payload = try Descriptor.makeMemoryFile(name: "granite-configuration", content: configuration.payload)
        try status.0.makeNonBlocking()
        collectorEnd = memory.0
        self.status = status.0
        self.output = OutputRelay(descriptor: output.reading)
        let listeners = configuration.listeners.enumerated().map {
            (source: $0.element.descriptor.number, target: WorkerDescriptor.firstListener + Int32($0.offset))
        }
        let recipe = ChildProcess.Recipe(
            executable: configuration.workerExecutable, arguments: configuration.workerArguments,
            environment: configuration.childEnvironment + [
                (WorkerDescriptor.listenerCountVariable, String(listeners.count))
            ],
            descriptors: [
                (output.writing.number, STDERR_FILENO),
                (payload.number, WorkerDescriptor.configuration),
                (page.number, WorkerDescriptor.crashPage),
                (memory.1.number, WorkerDescriptor.memorySocket),
                (status.1.number, WorkerDescriptor.status),
                (log, WorkerDescriptor.log),
            ] + listeners)
        child = try withExtendedLifetime((output.writing, payload, page, memory.1, status.1)) {
            () throws(SupervisorError) in
            try ChildProcess.spawn(recipe)
        }
        // Our copies of the worker's ends close here: its end is seen by end of file.
    }

    /// The messages that wait on the status socket, and whether the worker closed it.
    func readStatus() -> (messages: [WorkerStatus], ended: Bool) {
        var messages: [WorkerStatus] = []
        var buffer = [UInt8](repeating: 0, count: WorkerStatus.maxMessageBytes)
        for _ in 0..<16 {
            let count = recv(status.number, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count == 0 { return (messages, true) }
            if count < 0 { return (messages, errno != EAGAIN && errno != EINTR) }
            if let message = WorkerStatus(message: Array(buffer[..<count])) { messages.append(message) }
        }
        return (messages, false)
    }
}
