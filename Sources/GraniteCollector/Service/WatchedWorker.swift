// Defines a worker as the collector's loop sees it: its page, its memory socket, and whether a job is using that.

import CGraniteCapture
import Glibc
import GraniteCrashChannel

struct WatchedWorker {
    let watch: SupervisorMessage.Watch
    /// nil if it could not be opened; then reports are made without it.
    let page: CrashPage?
    let process: ProcessFacts
    let mailbox = EndingMailbox()
    /// Closes the descriptors when neither the loop nor a job needs them.
    let descriptors: Descriptors
    /// Why something of it is missing.
    let problem: String?
    /// A job is reading from the socket.
    var isReading = false
    /// Nothing more will come on the socket.
    var hasHungUp = false

    /// Takes over the descriptors that came with the message: the page, then the memory socket.
    init(watch: SupervisorMessage.Watch, descriptors: [Int32]) {
        self.watch = watch
        self.descriptors = Descriptors(descriptors)
        process = ProcessFacts(pid: watch.pid)
        guard let first = descriptors.first else {
            page = nil
            problem = "The worker \(watch.pid) came without a crash page."
            return
        }
        do throws(CrashPageError) {
            page = try CrashPage(descriptor: first)
            problem = nil
        } catch {
            page = nil
            problem = error.description
        }
    }

    /// The collector's end of the memory socket, or -1.
    var socket: Int32 { descriptors.all.count > 1 ? descriptors.all[1] : -1 }

    var isListening: Bool { socket >= 0 && !isReading && !hasHungUp }

    enum Hello {
        /// Of the capture with this sequence, as the worker says.
        case hello(capture: UInt32)
        case hungUp, nothing
    }

    /// A hello that waits in the memory socket. Anything else that a worker may have sent is dropped.
    func takeHello() -> Hello {
        var hello = granite_memory_hello()
        let size = MemoryLayout<granite_memory_hello>.size
        // As many as a batch has answers: what a job did not read any more.
        for _ in 0..<Int(GRANITE_MEMORY_BATCH) {
            let count = recv(socket, &hello, size, Int32(MSG_DONTWAIT))
            if count == size, hello.magic == GRANITE_PAGE_MAGIC {
                return .hello(capture: hello.capture_sequence)
            }
            if count == 0 { return .hungUp }
            if count < 0 { return errno == EAGAIN || errno == EINTR ? .nothing : .hungUp }
        }
        return .nothing
    }

    /// What the page says now.
    func pageState() -> CollectorState.PageState {
        guard let capture = try? page?.capture(), capture.stage > .idle, capture.kind != .none else { return .empty }
        return .init(
            kind: capture.isFatal ? .fatal : .passing, progress: capture.stage < .served ? .underWay : .over,
            sequence: capture.sequence)
    }

    /// Descriptors with one owner.
    final class Descriptors: Sendable {
        let all: [Int32]
        init(_ all: [Int32]) { self.all = all }
        deinit { for descriptor in all { close(descriptor) } }
    }
}
